"""The stages in their order, over a miniature head and a finder that knows where the faces are."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from tests.unit.fitting.miniature_head import build_model, draw_parameters, landmarks_of

from facewright.cli.main import main
from facewright.cli.reconstruct import MethodName
from facewright.core.errors import AssetError, HiddenFaceError, InputError, NoFaceError
from facewright.core.lazy import LazySequence
from facewright.detection import Landmarks
from facewright.detection.segmentation import FaceSegmenter
from facewright.fitting.landmark_basis import landmark_basis
from facewright.fitting.records import FaceFit
from facewright.image.io import Photograph, photograph_from_array
from facewright.models.storage import ModelOrigin, save_face_model
from facewright.networks.segmentation import SegmentationNetwork, SegmentationNetworkSettings
from facewright.pipeline import reconstruct as stages
from facewright.pipeline.finder import ShippedFinder, find_faces
from facewright.pipeline.methods import METHODS, load_method
from facewright.pipeline.reconstruct import Reconstructor
from facewright.pipeline.result import Reconstruction
from facewright.pipeline.settings import BatchSettings, ReconstructionSettings
from facewright.pipeline.versions import made_with
from facewright.uv.head_chart import HeadChart

SIZE = 64  # of the texture
AFTERWARDS = ("lips and lids", "texture", "relief")  # stages of every head


@dataclass
class Finder:
    """Finds as many faces as the photo's red value says; 200 is a crash."""

    points: torch.Tensor
    calls: list[int] = field(default_factory=list)

    def __call__(self, photo: torch.Tensor) -> list[Landmarks]:
        count = round(float(photo[0, 0, 0] * 255))
        self.calls.append(count)
        if count == 200:
            raise ZeroDivisionError("a bug")
        boxes = [torch.cat([p.amin(0), p.amax(0)]) for p in self.points]
        return [Landmarks(self.points[i], 1.0, boxes[i]) for i in range(count)]


@pytest.fixture(scope="module")
def engine() -> Reconstructor:
    model = build_model()
    finder = Finder(landmarks_of(model, draw_parameters(model, 3)))
    settings = ReconstructionSettings(texture_size=SIZE)
    chart = HeadChart.of(model, SIZE)
    return Reconstructor(model, finder, landmark_basis(model), chart, settings, torch.device("cpu"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No light is fitted; a face hardly lies in its photo if the photo's green says which one."""

    def refine(model, photos, fit, *, groups, basis, settings, covers):
        assert covers is None or len(covers) == len(photos)
        calls.append(len(photos))
        found = []
        for number, pixels in enumerate(photos):
            hidden = round(float(pixels[1, 0, 0] * 255))
            if hidden and abs(float(fit.detected_px[number, 0, 0]) - hidden_x[hidden - 1]) < 1e-3:
                found.append(number)
        if found:
            raise HiddenFaceError("hardly", found)
        return fit

    monkeypatch.setattr(stages, "refine_photometric", refine)
    monkeypatch.setattr(stages, "head_texture", lambda *_, **__: torch.zeros(SIZE, SIZE, 3))


hidden_x: list[float] = []
calls: list[int] = []  # photos of each fit


@pytest.fixture(autouse=True)
def known(engine: Reconstructor) -> None:
    assert isinstance(engine.finder, Finder)
    hidden_x[:] = engine.finder.points[:, 0, 0].tolist()
    calls.clear()


def photo(faces: int, hidden: int = 0, *, focal: float | None = None) -> Photograph:
    pixels = np.zeros((600, 800, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = faces, hidden
    taken = photograph_from_array(pixels, f"{faces}{hidden}.png")
    return Photograph(taken.pixels, taken.size, focal=focal, name=taken.name)


def test_a_weak_photo_leaves_the_others_of_its_group(engine: Reconstructor) -> None:
    first, weak, none, last = engine.reconstruct_together([photo(1), photo(1, 1), photo(0), photo(1)])
    assert isinstance(weak, HiddenFaceError)
    assert "11.png" in str(weak)
    assert isinstance(none, NoFaceError)
    alone = engine.reconstruct_together([photo(1), photo(1)])
    for head, expected in zip((first, last), alone, strict=True):
        assert isinstance(head, Reconstruction)
        assert isinstance(expected, Reconstruction)
        assert torch.equal(head.parameters.identity, expected.parameters.identity)
    (only,) = engine.reconstruct_together([photo(1, 1)])
    assert isinstance(only, HiddenFaceError)


def test_all_weak_photos_of_a_group_are_left_out_at_once(engine: Reconstructor) -> None:
    results = engine.reconstruct_together([photo(1, 1), photo(1), photo(1, 1), photo(1)])
    assert [isinstance(result, Reconstruction) for result in results] == [False, True, False, True]
    assert calls == [4, 2]


def test_a_photo_that_crashes_the_finder_leaves_the_others_of_its_group(engine: Reconstructor) -> None:
    first, broken = engine.reconstruct_together([photo(1), photo(200)])
    assert isinstance(first, Reconstruction)
    assert isinstance(broken, ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):  # the control: it does crash
        engine.reconstruct(photo(200))


def test_a_weak_face_leaves_the_others_of_its_photo(engine: Reconstructor) -> None:
    whole = engine.reconstruct(photo(3), all_faces=True)
    assert len(whole) == 3
    assert not any("left out" in warning for head in whole for warning in head.warnings)
    heads = engine.reconstruct(photo(3, 2), all_faces=True)
    assert [float(head.detected_px[0, 0]) for head in heads] == [hidden_x[0], hidden_x[2]]
    assert [sum("left out" in warning for warning in head.warnings) for head in heads] == [1, 0]
    assert [head.title for head in heads] == ["32.png", "face 2 of 32.png"]
    with pytest.raises(HiddenFaceError, match=r"11\.png.*; --no-photometric makes a rougher head"):
        engine.reconstruct(photo(1, 1))


def test_what_a_method_does_not_take_is_not_advised(
    engine: Reconstructor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hidden(*_: object, **__: object) -> None:
        raise HiddenFaceError("hardly", [0])

    points = engine.finder.points[:1]  # pyright: ignore[reportAttributeAccessIssue]
    teller = Teller(stages.fit_landmarks(engine.model, points, [(600, 800)], basis=engine.basis))
    monkeypatch.setattr(stages, "head_texture", hidden)
    with pytest.raises(HiddenFaceError) as told:
        replace(engine, method=teller).reconstruct(photo(1))
    assert str(told.value).endswith("expected a face that is mostly in the photo.")


def test_faces_that_are_left_aside_are_told(engine: Reconstructor) -> None:
    def told(head: object) -> int:
        assert isinstance(head, Reconstruction)
        return sum("shows 3 faces" in warning and "--all-faces" in warning for warning in head.warnings)

    assert told(engine.reconstruct(photo(3))[0]) == 1
    assert [told(head) for head in engine.reconstruct_together([photo(1), photo(3)])] == [0, 1]
    assert [told(head) for head in engine.reconstruct(photo(3), all_faces=True)] == [0, 0, 0]


def test_what_is_noted_of_a_photo_is_told_with_its_head_or_with_the_lack_of_one(
    engine: Reconstructor,
) -> None:
    noted = replace(photo(1), notes=("its EXIF data is damaged.",))
    assert noted.notes[0] in engine.reconstruct(noted)[0].warnings
    assert noted.notes[0] not in engine.reconstruct(photo(1))[0].warnings  # the control
    with pytest.raises(NoFaceError, match="its EXIF data is damaged"):
        engine.reconstruct(replace(photo(0), notes=noted.notes))


def test_heads_of_a_group_are_made_when_they_are_asked_for(engine: Reconstructor) -> None:
    def read(index: int) -> Photograph:
        asked.append(index)
        if index in gone:
            raise OSError("gone")
        return photo(1)

    asked: list[int] = []
    gone: set[int] = set()
    heads = engine.reconstruct_together(LazySequence(3, read))
    before = len(asked)
    assert isinstance(heads[2], Reconstruction)
    assert asked[before:] == [2]
    gone.add(1)
    with pytest.raises(OSError, match="gone"):
        heads[1]
    assert isinstance(heads[0], Reconstruction)  # one that cannot be made leaves the others


def test_what_lies_before_each_face_is_told_to_light_and_texture(
    engine: Reconstructor, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, int] = {}

    def refine(model, photos, fit, *, covers, **_):
        told["light"] = len(covers)
        return fit

    def texture(*_, covers, **__):
        told["texture"] = len(covers)
        assert all(cover(torch.rand(5, 2) * 600).shape == (5,) for cover in covers)
        return torch.zeros(SIZE, SIZE, 3)

    monkeypatch.setattr(stages, "refine_photometric", refine)
    monkeypatch.setattr(stages, "head_texture", texture)
    small = SegmentationNetworkSettings(input_size=32, widths=(4, 6, 8), decoder=(6, 4))
    seeing = replace(engine, segmenter=FaceSegmenter(SegmentationNetwork(small)))
    (first, _) = seeing.reconstruct_together([photo(1), photo(1)])
    assert isinstance(first, Reconstruction)
    assert "segmentation" in first.seconds
    assert told == {"light": 2, "texture": 2}


def test_a_known_focal_length_counts_beside_unknown_ones(engine: Reconstructor) -> None:
    heads = engine.reconstruct_together([photo(1, focal=1234.0), photo(1)])
    known, assumed = (float(head.parameters.camera.focal) for head in heads)  # pyright: ignore
    assert known == 1234
    assert assumed != 1234


def test_seconds_of_heads_add_up_to_the_time_that_was_spent(
    engine: Reconstructor, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def tick() -> float:
        now[0] += 1
        return now[0]

    monkeypatch.setattr("facewright.core.progress.time.perf_counter", tick)
    for head in engine.reconstruct(photo(3), all_faces=True):  # each stage takes one tick
        assert head.seconds == pytest.approx(
            {"detection": 1 / 3, **dict.fromkeys(("landmark fit", "photometric fit", *AFTERWARDS), 1)}
        )
    for head in engine.reconstruct_together([photo(1), photo(1)]):
        assert isinstance(head, Reconstruction)
        shared = ("landmark fit", "photometric fit", *AFTERWARDS)
        assert head.seconds == {"detection": 1, **dict.fromkeys(shared, 0.5)}


def test_the_residual_is_that_of_the_fit(engine: Reconstructor) -> None:
    (head,) = engine.reconstruct(photo(1))
    contour = engine.model.landmarks["dense478"].contour
    distance = (head.fitted_px - head.detected_px).norm(dim=-1)
    eyes = (head.detected_px[33] - head.detected_px[263]).norm()
    assert head.residual == pytest.approx(float(distance[~contour].mean() / eyes), rel=1e-4)
    assert head.residual != pytest.approx(float(distance.mean() / eyes), rel=1e-2)  # the control


def test_no_face_says_how_wide_one_must_be_in_this_photo() -> None:
    class Blind(ShippedFinder):
        def __init__(self) -> None:
            pass

        def __call__(self, photo: torch.Tensor) -> list[Landmarks]:
            return [] if photo.numel() else [Landmarks(torch.zeros(478, 2), 1.0, torch.zeros(4))]

    def refused(finder, width: int, scale: float = 1.0) -> str:
        pixels = torch.zeros(3, 480, width)
        with pytest.raises(NoFaceError) as caught:
            find_faces(finder, Photograph(pixels, (480, width), scale))
        return str(caught.value)

    assert "about 12 pixels" in refused(Blind(), 600)
    assert "about 24 pixels" in refused(Blind(), 1280)
    assert "about 96 pixels" in refused(Blind(), 1280, 4.0)
    assert "pixels" not in refused(lambda _: [], 1280)  # a plug-in has limits of its own


def test_another_model_is_read_from_its_file(engine: Reconstructor, tmp_path: Path) -> None:
    path, origin = tmp_path / "own.safetensors", ModelOrigin("CC0", "test", "test")
    settings = replace(engine.settings, model=str(path))
    with pytest.raises(AssetError, match="found nothing"):
        made_with(settings, BatchSettings())
    save_face_model(path, replace(engine.model, name="own"), origin)
    loaded = Reconstructor.load(settings, torch.device("cpu"), finder=engine.finder)
    assert loaded.model.name == "own"
    assert torch.equal(loaded.basis.mean, engine.basis.mean)
    # What the shipped landmarker gets wrong on every face says nothing about a plug-in.
    ours = Reconstructor.load(settings, torch.device("cpu")).basis.errors
    assert loaded.basis.errors is not None
    assert ours is not None
    assert ours.mean.abs().max() > 0
    assert not loaded.basis.errors.mean.any()
    assert torch.equal(loaded.basis.errors.modes, ours.modes)
    before = made_with(settings, BatchSettings())
    assert before != made_with(engine.settings, BatchSettings())
    save_face_model(path, replace(engine.model, landmarks={}), origin)
    assert made_with(settings, BatchSettings()) != before  # other contents under the same name
    with pytest.raises(InputError, match="--to-base"):
        Reconstructor.load(settings, torch.device("cpu"), finder=engine.finder)
    save_face_model(path, replace(engine.model, identity_basis=engine.model.identity_basis[:0]), origin)
    with pytest.raises(InputError, match=r"identity components, got .* without any"):
        Reconstructor.load(settings, torch.device("cpu"), finder=engine.finder)


@dataclass
class Teller:
    """A method that knows the heads."""

    fit: FaceFit
    name: str = "teller"
    asked: list[tuple[int, list[float]]] = field(default_factory=list)

    def reconstruct(self, photos, landmarks, *, focal, groups):
        assert len(landmarks) == len(photos) == len(groups)
        self.asked.append((len(photos), focal.tolist()))
        return replace(self.fit, parameters=replace(self.fit.parameters, shininess=torch.tensor([33.0])))


def test_a_method_finds_heads_in_place_of_the_fit(
    engine: Reconstructor, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = engine.finder.points[:1]  # pyright: ignore[reportAttributeAccessIssue]
    told = stages.fit_landmarks(engine.model, points, [(600, 800)], basis=engine.basis)
    other = replace(told, parameters=replace(told.parameters, diffuse=told.parameters.diffuse + 0.5))
    teller = Teller(other)
    shininess = []

    def texture(_model, _photos, fits, **_):
        shininess.extend(float(fit.exponent) for fit in fits)
        return torch.zeros(SIZE, SIZE, 3)

    monkeypatch.setattr(stages, "head_texture", texture)
    monkeypatch.setattr(stages, "refine_photometric", None)  # is not called
    monkeypatch.setattr(stages, "fit_landmarks", None)
    (head,) = replace(engine, method=teller).reconstruct(photo(1, focal=1234.0))
    assert torch.equal(head.parameters.diffuse, other.parameters.diffuse)
    assert teller.asked == [(1, [1234.0])]
    assert shininess == [33.0]
    assert {"teller", "detection", *AFTERWARDS} == set(head.seconds)


def test_a_method_without_weights_says_how_to_get_them(
    engine: Reconstructor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("facewright.pipeline.methods.read_manifest", dict)
    with pytest.raises(AssetError, match="facewright train specular"):
        load_method("specular", engine.model, engine.basis)
    with pytest.raises(AssetError, match=r"nothing at .*none\.safetensors"):
        load_method("specular", engine.model, engine.basis, tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="has none"):
        load_method("fit", engine.model, engine.basis, tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="fit, specular"):
        load_method("magic", engine.model, engine.basis)
    assert load_method("fit", engine.model, engine.basis) is None
    command = ["reconstruct", str(tmp_path), "--method", "specular", "--out", str(tmp_path / "out")]
    assert main(command) == 2
    assert "facewright train specular" in capsys.readouterr().err
    assert main([*command, "--no-photometric"]) == 2
    assert "belong to the fit" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_command_line_knows_every_method() -> None:
    assert set(get_args(MethodName)) == set(METHODS)


def test_other_weights_make_another_result(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"one")
    settings = ReconstructionSettings(method="specular", weights=str(file))
    first = made_with(settings, BatchSettings())
    file.write_bytes(b"two")
    assert made_with(settings, BatchSettings()) != first
    assert str(tmp_path) not in str(first)
    with pytest.raises(AssetError, match="weight file"):
        made_with(replace(settings, weights=str(tmp_path / "gone")), BatchSettings())
