"""The two portraits and every bad input through the command line, as a user would."""

import json
import resource
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image, ImageDraw

from facewright.cli.main import main
from facewright.export import read_parameters
from facewright.fitting.landmark_basis import basis_of_found
from facewright.models.base import load_base_model

FILES = [
    "albedo.png",
    "head.glb",
    "head.mtl",
    "head.obj",
    "normal.png",
    "overview.png",
    "parameters.json",
    "specular.png",
]
QUICK = ("--no-photometric", "--texture-size", "128")


def reconstruct(out: Path, *photos: Path, options: Sequence[str] = QUICK) -> int:
    return main(["reconstruct", *map(str, photos), "--out", str(out), *options])


def entries(out: Path) -> dict[str, dict]:
    return {
        Path(entry["path"]).name: entry for entry in json.loads((out / "report.json").read_text())["inputs"]
    }


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo as it ships, once for all tests here."""
    out = tmp_path_factory.mktemp("demo") / "facewright_demo"
    assert main(["demo", "--out", str(out)]) == 0
    return out


def test_demo_writes_every_file_and_nothing_else(demo: Path) -> None:
    assert names(demo) == ["astronaut", "grace_hopper", "report.json"]
    for name in ("astronaut", "grace_hopper"):
        assert names(demo / name) == FILES
    assert {entry["status"] for entry in entries(demo).values()} == {"done"}


def test_demo_says_where_to_look_and_skips_what_is_done(
    demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (demo / "astronaut/overview.png").stat().st_mtime_ns
    assert main(["demo", "--out", str(demo)]) == 0
    assert str(demo / "astronaut" / "overview.png") in capsys.readouterr().out
    assert (demo / "astronaut/overview.png").stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["astronaut", "grace_hopper"])
def test_the_fit_lies_on_the_face(demo: Path, name: str) -> None:
    saved = read_parameters(demo / name / "parameters.json")
    eyes = (saved.detected_landmarks_px[33] - saved.detected_landmarks_px[263]).norm()
    assert 30 < eyes < 120
    error = (saved.fitted_landmarks_px - saved.detected_landmarks_px).norm(dim=-1) / eyes
    inner = error[~load_base_model().landmarks["dense478"].contour]  # contour points slide along the head
    assert inner.mean() < 0.02
    parameters, basis = saved.parameters, basis_of_found(load_base_model())
    seen = (
        saved.landmarks_mm + basis.placement[:, : basis.count].T
    )  # where the landmarker sees them on anyone
    seen = parameters.camera.project(parameters.pose.camera_from_head(seen[None]))[0, :, :2]
    seen = (seen - saved.detected_landmarks_px).norm(dim=-1) / eyes
    seen = seen[~load_base_model().landmarks["dense478"].contour]
    assert saved.notes["landmark_residual"] == pytest.approx(float(seen.mean()), rel=0.02)
    projected = parameters.camera.project(parameters.pose.camera_from_head(saved.landmarks_mm[None]))
    assert torch.allclose(projected[0, :, :2], saved.fitted_landmarks_px, atol=0.05)
    mirrored = saved.landmarks_mm * torch.tensor([-1.0, 1, 1])  # the control
    wrong = parameters.camera.project(parameters.pose.camera_from_head(mirrored[None]))[0, :, :2]
    assert (wrong - saved.fitted_landmarks_px).norm(dim=-1).mean() / eyes > 0.3
    width = (saved.landmarks_mm[33] - saved.landmarks_mm[263]).norm()
    assert 75 < width < 105  # mm between the outer eye corners


@pytest.mark.parametrize("name", ["astronaut", "grace_hopper"])
def test_landmarks_lie_on_the_written_mesh(demo: Path, name: str) -> None:
    mesh = trimesh.load(demo / name / "head.obj", process=False, force="mesh")
    assert isinstance(mesh, trimesh.Trimesh)
    points = read_parameters(demo / name / "parameters.json").landmarks_mm.numpy()
    _, distance, _ = trimesh.proximity.closest_point_naive(mesh, points[::40])
    assert distance.max() < 0.01


def test_the_portraits_are_two_people(demo: Path) -> None:
    first, second = (
        read_parameters(demo / name / "parameters.json") for name in ("astronaut", "grace_hopper")
    )
    assert (first.parameters.identity - second.parameters.identity).norm() > 1
    pictures = [np.asarray(Image.open(demo / name / "albedo.png"), dtype=float) for name in names(demo)[:2]]
    assert pictures[0].shape == (1024, 1024, 3)
    assert np.abs(pictures[0] - pictures[1]).mean() > 2


def test_the_rig_opens_elsewhere(demo: Path) -> None:
    scene = trimesh.load(demo / "astronaut/head.glb", force="scene")
    assert isinstance(scene, trimesh.Scene)
    assert {"left_eye", "right_eye"} <= set(scene.graph.nodes)
    height = scene.extents[1]
    assert 0.2 < height < 0.4  # metres
    hair, head = (
        np.concatenate([part.vertices for name, part in scene.geometry.items() if name.startswith(node)])
        for node in ("hair", "head")
    )
    crown = head[:, 1].max()
    assert 0.015 < hair[:, 1].max() - crown < 0.06  # hers stands high
    assert np.ptp(hair[:, 0]) > np.ptp(head[head[:, 1] > 0.06][:, 0]) + 0.03


def bad_inputs(folder: Path, portrait: Path) -> dict[str, str]:
    """Every input that must fail, with words of the line it gets."""
    folder.mkdir()
    data = portrait.read_bytes()
    (folder / "text.jpg").write_text("not a picture")
    (folder / "cut.jpg").write_bytes(data[: len(data) // 3])
    (folder / "empty.jpg").write_bytes(b"")
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    Image.new("1", (30_000, 30_000)).save(folder / "huge.png")
    Image.effect_noise((320, 240), 60).convert("RGB").save(folder / "noise.png")
    Image.new("RGB", (640, 480), (90, 120, 160)).save(folder / "plain.jpg")
    (folder / "hollow").mkdir()
    return {
        "text.jpg": "not a picture",
        "cut.jpg": "cut short",
        "empty.jpg": "0 bytes",
        "dot.png": "1 x 1",
        "huge.png": "900 million pixels",
        "noise.png": "no face",
        "plain.jpg": "no face",
        "hollow": "no photos",
        "missing.jpg": "no file",
    }


def test_bad_inputs(tmp_path: Path, portraits: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    expected = bad_inputs(tmp_path / "in", portraits["grace_hopper"])
    inputs = [tmp_path / "in" / name for name in expected]
    out = tmp_path / "out"
    assert reconstruct(out, *inputs, portraits["grace_hopper"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(inputs) + 1
    found = entries(out)
    for name, words in expected.items():
        assert found[name]["status"] == "failed"
        assert words in found[name]["reason"]
        assert sum(name in line and words in line for line in lines) == 1
    assert found["grace_hopper.jpg"]["status"] == "done"
    assert names(out) == ["grace_hopper", "report.json"]


def test_unusual_pictures_are_read(tmp_path: Path, portraits: dict[str, Path]) -> None:
    image = Image.open(portraits["astronaut"]).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.rotate(90, expand=True).save(tmp_path / "phone.jpg", quality=95, exif=exif)
    image.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    image.quantize(256).save(tmp_path / "palette.png")
    Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(tmp_path / "deep_grey.png")
    image.convert("RGBA").save(tmp_path / "alpha.png")
    # The left cheek and a part of the left eye are outside the picture.
    image.crop((0, 0, 250, 300)).save(tmp_path / "border.png")
    photos = sorted(tmp_path.iterdir())
    out = tmp_path / "out"
    assert reconstruct(out, *photos) == 0
    upright = read_parameters(out / "alpha" / "parameters.json").detected_landmarks_px
    for name in ("phone", "cmyk", "palette", "deep_grey"):
        other = read_parameters(out / name / "parameters.json").detected_landmarks_px
        assert (other - upright).norm(dim=-1).mean() < 3, name
    assert read_parameters(out / "border/parameters.json").parameters.camera.size == (300, 250)


def drawn_face() -> Image.Image:
    drawing = Image.new("RGB", (320, 320), "white")
    draw = ImageDraw.Draw(drawing)
    draw.ellipse((60, 40, 260, 290), fill="#f3c9a5", outline="black", width=4)
    for x in (120, 200):
        draw.ellipse((x - 18, 120, x + 18, 145), fill="white", outline="black", width=3)
        draw.ellipse((x - 7, 125, x + 7, 140), fill="black")
    draw.line((160, 150, 150, 195, 168, 195), fill="black", width=4)
    draw.arc((115, 190, 205, 250), 20, 160, fill="#a03030", width=7)
    return drawing


def test_a_drawing_is_no_face(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn_face().save(tmp_path / "drawing.png")
    assert reconstruct(tmp_path / "out", tmp_path / "drawing.png") == 1
    entry = entries(tmp_path / "out")["drawing.png"]
    assert (entry["status"], entry["error"]) == ("failed", "NoFaceError")
    assert "no face was found in drawing.png" in entry["reason"]
    assert capsys.readouterr().err.count("\n") == 1


def test_unusual_photos_by_the_whole_path(
    tmp_path: Path, portraits: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it ships, but for a small map; half a face beyond the border is called too little of it."""
    image = Image.open(portraits["astronaut"]).convert("RGB")
    image.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(tmp_path / "grey.png")
    image.resize((128, 128)).save(tmp_path / "tiny.png")
    image.crop((0, 0, 230, 300)).save(tmp_path / "border.png")
    drawn_face().save(tmp_path / "drawing.png")
    photos, out = sorted(tmp_path.iterdir()), tmp_path / "out"
    whole = ("--texture-size", "128")
    assert reconstruct(out, *photos, options=whole) == 1
    found = entries(out)
    assert {name: entry["error"] for name, entry in found.items() if entry["status"] == "failed"} == {
        "drawing.png": "NoFaceError"
    }
    maps = {
        name: np.asarray(Image.open(out / name / "albedo.png").convert("RGB"), dtype=float)
        for name in ("cmyk", "grey", "tiny", "border")
    }
    assert np.ptp(maps["grey"], axis=-1).mean() < 1  # a grey photo does not tell the colour of skin
    for name in ("cmyk", "tiny", "border"):
        assert np.ptp(maps[name], axis=-1).mean() > 20, name

    monkeypatch.setattr("facewright.fitting.photometric.LEAST_PIXELS", 2800)  # of 3300 of a whole face
    again = [tmp_path / "border.png", tmp_path / "cmyk.jpg"]
    assert reconstruct(out, *again, options=(*whole, "--force")) == 1
    found = entries(out)
    assert found["border.png"]["error"] == "HiddenFaceError"
    assert "too little of the face lies in border.png" in found["border.png"]["reason"]
    assert found["cmyk.jpg"]["status"] == "done"


def test_together_gives_one_identity(tmp_path: Path, portraits: dict[str, Path]) -> None:
    image = Image.open(portraits["astronaut"]).convert("RGB")
    image.save(tmp_path / "a.png")
    turned = image.rotate(12, center=(225, 115), resample=Image.Resampling.BICUBIC)
    turned.crop((30, 0, 450, 400)).save(tmp_path / "b.png")
    out = tmp_path / "out"
    options = ("--together", "--texture-size", "128")
    assert reconstruct(out, tmp_path / "a.png", tmp_path / "b.png", options=options) == 0
    first, second = (read_parameters(out / name / "parameters.json").parameters for name in "ab")
    assert torch.equal(first.identity, second.identity)
    assert not torch.equal(first.pose.rotation, second.pose.rotation)
    assert (out / "a/albedo.png").read_bytes() == (out / "b/albedo.png").read_bytes()


def test_all_faces(tmp_path: Path, portraits: dict[str, Path]) -> None:
    pair = Image.new("RGB", (900, 512))
    pair.paste(Image.open(portraits["astronaut"]).convert("RGB"), (0, 0))
    pair.paste(Image.open(portraits["grace_hopper"]).convert("RGB").resize((388, 455)), (512, 30))
    pair.save(tmp_path / "pair.png")
    out = tmp_path / "out"
    assert reconstruct(out, tmp_path / "pair.png", options=("--all-faces", *QUICK)) == 0
    assert names(out) == ["pair", "pair_face2", "report.json"]
    left = sorted(
        float(read_parameters(out / n / "parameters.json").detected_landmarks_px[1, 0])
        for n in names(out)[:2]
    )
    assert left[0] < 450 < left[1]


LOADED = (  # whatever a reconstruction reads
    "base_head.safetensors",
    "detector.safetensors",
    "identity_centre.safetensors",
    "landmark_errors.safetensors",
    "landmark_expressions.safetensors",
    "landmarker_eyes.safetensors",
    "landmarker_first.safetensors",
    "landmarker_second.safetensors",
    "segmentation.safetensors",
)


@pytest.mark.parametrize("name", LOADED)
def test_damaged_weights(
    name: str,
    tmp_path: Path,
    portraits: dict[str, Path],
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assets = tmp_path / "assets"
    assets.mkdir()
    for path in (repository / "src/facewright/assets").iterdir():
        (assets / path.name).symlink_to(path)
    weights = assets / name
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.unlink()
    weights.write_bytes(bytes(data))
    monkeypatch.setattr("facewright.core.assets.assets_folder", lambda: assets)
    assert reconstruct(tmp_path / "out", portraits["astronaut"]) == 1
    assert "damaged" in capsys.readouterr().err
    assert name in entries(tmp_path / "out")["astronaut.png"]["reason"]
    assert names(tmp_path / "out") == ["report.json"]


@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_a_damaged_model_of_ones_own(
    kept: float, tmp_path: Path, portraits: dict[str, Path], repository: Path
) -> None:
    whole = (repository / "src/facewright/assets/base_head.safetensors").read_bytes()
    model, out = tmp_path / "own.safetensors", tmp_path / "out"
    model.write_bytes(whole[: int(kept * len(whole))])
    assert reconstruct(out, portraits["astronaut"], options=(*QUICK, "--model", str(model))) == 1
    entry = entries(out)["astronaut.png"]
    assert entry["error"] == "AssetError"
    assert str(model) in entry["reason"]
    assert names(out) == ["report.json"]


def test_full_disk(tmp_path: Path, portraits: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        if len(data) > 100_000:
            raise OSError(28, "No space left on device")
        return len(data)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert reconstruct(tmp_path / "out", portraits["astronaut"]) == 1
    monkeypatch.undo()
    assert "disk is full" in entries(tmp_path / "out")["astronaut.png"]["reason"]
    assert names(tmp_path / "out") == ["report.json"]


def test_a_limit_on_the_size_of_files(tmp_path: Path, portraits: dict[str, Path]) -> None:
    """The system itself refuses to write on, in the middle of a file."""
    assert reconstruct(tmp_path / "free", portraits["astronaut"]) == 0  # the control
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        code = reconstruct(tmp_path / "out", portraits["astronaut"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert code == 1
    assert "allowed file size" in entries(tmp_path / "out")["astronaut.png"]["reason"]
    assert names(tmp_path / "out") == ["report.json"]


def test_python_gives_the_same_as_the_command(demo: Path, tmp_path: Path, portraits: dict[str, Path]) -> None:
    import facewright

    facewright.reconstruct(portraits["astronaut"]).save(tmp_path / "head")
    assert names(tmp_path / "head") == FILES
    here, there = (
        read_parameters(folder / "parameters.json") for folder in (tmp_path / "head", demo / "astronaut")
    )
    assert torch.allclose(here.parameters.identity, there.parameters.identity, atol=1e-4)
    assert torch.allclose(here.landmarks_mm, there.landmarks_mm, atol=1e-2)
