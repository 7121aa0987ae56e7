"""Models built of heads in files: what went in comes out; heads that do not belong together are refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.unit.models.raw_head import raw_head

from facewright.cli.main import main
from facewright.core.errors import AssetError, InputError
from facewright.models.base import load_base_model
from facewright.models.storage import load_face_model, read_origin
from facewright.pipeline.model_build import BuildSettings, build_model
from facewright.pipeline.model_sources import expression_pairs, find_heads

HEAD = raw_head()
NO_CURVES = BuildSettings(curves=False)


def write_head(path: Path, vertices: np.ndarray, faces: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, vertices=vertices.astype(np.float32), faces=faces)
    return path


def write_strangers(folder: Path, count: int = 12) -> Path:
    """Heads of the miniature, each somewhere else in space."""
    generator = np.random.default_rng(5)
    for number in range(count):
        coefficients = generator.standard_normal(len(HEAD.identity))
        vertices = HEAD.mean + np.tensordot(coefficients, HEAD.identity, 1)
        write_head(folder / f"head{number:02d}.npz", vertices + generator.standard_normal(3), HEAD.faces)
    return folder


def landmarks_file(path: Path) -> Path:
    path.write_text(json.dumps({str(number): vertex for number, vertex in HEAD.anchors.items()}))
    return path


def test_heads_of_the_base_topology_keep_its_landmarks_and_frame(tmp_path: Path) -> None:
    base = load_base_model()
    generator = torch.Generator().manual_seed(2)
    coefficients = torch.zeros(7, base.identity_count)
    coefficients[:, :2] = torch.randn(7, 2, generator=generator)
    for number, vertices in enumerate(base.vertices(coefficients)):
        moved = vertices + torch.tensor([3.0, -2.0, 5.0])
        write_head(tmp_path / f"person{number}.npz", moved.numpy(), base.topology.faces.numpy())
    built = build_model([tmp_path], NO_CURVES)
    model = built.model
    face = base.regions["face"]
    expected = base.vertices(coefficients.mean(0, keepdim=True))[0]
    assert float((model.mean - expected)[face].norm(dim=1).mean()) < 1.0  # lies where the base head does
    assert model.landmarks.keys() == base.landmarks.keys()
    assert model.expression_names == base.expression_names
    assert "expressions and albedo are the base head's" in built.origin.notes
    spread = model.identity_basis[:, face].square().sum((0, 2)).mean().sqrt()
    true = base.identity_basis[:2, face].square().sum((0, 2)).mean().sqrt()
    assert 0.4 < float(spread / true) < 1.6
    # Rigid alignment bends the two directions a little; two components still carry nearly everything.
    share = model.identity_basis.square().sum((1, 2)).cumsum(0)
    assert float(share[1] / share[-1]) > 0.98


def test_heads_in_centimetres_make_no_model_in_millimetres(tmp_path: Path) -> None:
    base = load_base_model()
    coefficients = torch.randn(4, base.identity_count, generator=torch.Generator().manual_seed(4))
    for number, vertices in enumerate(base.vertices(coefficients)):
        write_head(tmp_path / f"a{number}.npz", vertices.numpy() / 10, base.topology.faces.numpy())
        write_head(tmp_path / "mm" / f"a{number}.npz", vertices.numpy(), base.topology.faces.numpy())
    assert build_model([tmp_path / "mm"], NO_CURVES).model.identity_count == 3
    for path in (tmp_path / "mm").iterdir():
        path.unlink()
    (tmp_path / "mm").rmdir()
    with pytest.raises(AssetError, match="mm apart"):
        build_model([tmp_path], NO_CURVES)


def test_a_strange_topology_needs_landmarks_and_gives_a_checked_model(tmp_path: Path) -> None:
    folder = write_strangers(tmp_path / "heads")
    with pytest.raises(InputError, match="give --landmarks"):
        build_model([folder], NO_CURVES)
    settings = replace(NO_CURVES, landmarks=landmarks_file(tmp_path / "points.json"), components=3)
    model = build_model([folder], settings).model
    assert model.identity_count == 3
    assert "now7" in model.landmarks
    for path in folder.iterdir():  # in metres nobody notices until the checks do
        with np.load(path) as stored:
            write_head(path, stored["vertices"] / 1000, stored["faces"])
    with pytest.raises(AssetError, match="mm apart"):
        build_model([folder], settings)


def test_expressions_by_name_and_by_table(tmp_path: Path) -> None:
    folder = tmp_path / "heads"
    smile = np.zeros_like(HEAD.mean)
    smile[HEAD.anchors[48]] = (-4.0, 6.0, 0.0)
    generator = np.random.default_rng(1)
    for name in ("anna", "bert", "cleo"):
        person = HEAD.mean + np.tensordot(generator.standard_normal(4), HEAD.identity, 1)
        write_head(folder / f"{name}_neutral.npz", person, HEAD.faces)
        write_head(folder / f"{name}_smile.npz", person + smile + (0.0, 2.0, 0.0), HEAD.faces)
    settings = replace(NO_CURVES, landmarks=landmarks_file(tmp_path / "points.json"))
    built = build_model([folder], settings)
    assert built.model.expression_names == ("smile",)
    # One vertex of hundreds moves, so laying the expression onto the neutral hardly turns it.
    assert np.allclose(built.model.expression_basis[0], smile, atol=0.3)
    assert built.origin.source == "3 heads, 3 expressions"
    (tmp_path / "pairs.csv").write_text("anna_neutral,anna_smile,grin\nbert_neutral,bert_smile,grin\n")
    by_table = build_model([folder], replace(settings, expressions=tmp_path / "pairs.csv"))
    assert by_table.model.expression_names == ("grin",)
    assert by_table.origin.source == "4 heads, 2 expressions"
    parts = build_model([folder], replace(settings, expression_basis="pca")).model
    assert parts.expression_names[0] == "mean_expression"
    (tmp_path / "pairs.csv").write_text("anna_neutral,nobody,grin\n")
    with pytest.raises(InputError, match="'nobody'"):
        build_model([folder], replace(settings, expressions=tmp_path / "pairs.csv"))


def test_names_that_are_no_pairs() -> None:
    assert expression_pairs(["a_smile", "b_neutral", "neutral", "_neutral"]) == []
    assert expression_pairs(["a_b_neutral", "a_b_smile"]) == [(0, 1, "smile")]


def test_weights_move_the_mean(tmp_path: Path) -> None:
    folder = write_strangers(tmp_path / "heads", 4)
    settings = replace(NO_CURVES, landmarks=landmarks_file(tmp_path / "points.json"))
    plain = build_model([folder], settings).model
    (tmp_path / "weights.csv").write_text("head00,5\n")
    weighted = build_model([folder], replace(settings, weights=tmp_path / "weights.csv")).model
    assert float((plain.mean - weighted.mean).norm(dim=1).max()) > 0.5
    for text, words in (("nobody,1\n", "'nobody'"), ("head00,much\n", "'much'"), ("head00\n", "2 columns")):
        (tmp_path / "weights.csv").write_text(text)
        with pytest.raises(InputError, match=words):
            build_model([folder], replace(settings, weights=tmp_path / "weights.csv"))


def test_weights_are_those_of_the_curves_too(tmp_path: Path) -> None:
    """A head of weight 0 might as well not be there; one of weight 3 is felt."""
    folder = write_strangers(tmp_path / "heads", 9)
    table = tmp_path / "w.csv"
    settings = BuildSettings(landmarks=landmarks_file(tmp_path / "points.json"), weights=table)
    table.write_text("".join(f"head0{number},0\n" for number in (1, 4, 7)))
    weighted = build_model([folder], settings)
    table.write_text("head00,3\n")
    heavy = build_model([folder], settings).curves
    counting = [folder / f"head0{number}.npz" for number in (0, 2, 3, 5, 6, 8)]
    few = build_model(counting, replace(settings, weights=None))
    assert weighted.origin.source == few.origin.source == "6 heads, 0 expressions"
    assert torch.allclose(weighted.model.mean, few.model.mean, atol=1e-4)
    for name in ("compactness", "generalisation", "specificity"):
        assert np.allclose(getattr(weighted.curves, name), getattr(few.curves, name), rtol=1e-5)
    plain = build_model([folder], replace(settings, weights=None)).curves
    assert heavy is not None
    assert plain is not None
    assert heavy.components.tolist() == plain.components.tolist()
    assert np.abs(heavy.generalisation / plain.generalisation - 1).max() > 0.01
    table.write_text("".join(f"head0{number},0\n" for number in range(7)))
    with pytest.raises(InputError, match="3 neutral heads at least, got 2"):
        build_model([folder], settings)


def test_expressions_have_no_weights(tmp_path: Path) -> None:
    folder = write_strangers(tmp_path / "heads", 4)
    (folder / "head00.npz").rename(folder / "anna_neutral.npz")
    write_head(folder / "anna_smile.npz", HEAD.mean + HEAD.identity[0], HEAD.faces)
    table = tmp_path / "w.csv"
    settings = replace(NO_CURVES, landmarks=landmarks_file(tmp_path / "points.json"), weights=table)
    table.write_text("anna_neutral,2\n")
    assert build_model([folder], settings).model.expression_names == ("smile",)
    table.write_text("anna_neutral,2\nanna_smile,2\n")
    with pytest.raises(InputError, match="'anna_smile', which is an expression"):
        build_model([folder], settings)


def test_no_more_components_than_a_file_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_strangers(tmp_path / "heads", 6)
    settings = replace(NO_CURVES, landmarks=landmarks_file(tmp_path / "points.json"))
    assert build_model([folder], settings).model.identity_count > 2
    monkeypatch.setattr("facewright.pipeline.model_build.MAX_COMPONENTS", 2)
    built = build_model([folder], settings)
    assert built.model.identity_count == 2
    assert built.origin.notes[0].startswith("2 of ")
    for count, words in ((3, "2 components at most"), (0, "one component or more")):
        with pytest.raises(InputError, match=words):
            build_model([folder], replace(settings, components=count))


def test_heads_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    folder = write_strangers(tmp_path / "heads", 3)
    with pytest.raises(InputError, match="no head at"):
        find_heads([tmp_path / "nothing"])
    two = write_head(tmp_path / "other" / "head00.npz", HEAD.mean, HEAD.faces)
    with pytest.raises(InputError, match="two heads are called 'head00'"):
        build_model([folder, two], NO_CURVES)
    turned = write_head(tmp_path / "turned.npz", HEAD.mean, np.roll(HEAD.faces, 1, axis=0))
    with pytest.raises(InputError, match="all heads must be in one topology"):
        build_model([folder, turned], NO_CURVES)
    with pytest.raises(InputError, match="3 neutral heads at least"):
        build_model([folder / "head00.npz", folder / "head01.npz"], NO_CURVES)


def test_the_command_writes_model_and_curves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = write_strangers(tmp_path / "heads"), tmp_path / "own.safetensors"
    landmarks = landmarks_file(tmp_path / "points.json")
    command = ["model", "build", str(folder), "--out", str(out), "--landmarks", str(landmarks)]
    assert main([*command, "--name", "own", "--licence", "CC0"]) == 0
    assert "own_curves.png" in capsys.readouterr().out
    assert load_face_model(out).name == "own"
    assert read_origin(out).licence == "CC0"
    curves = json.loads((tmp_path / "own_curves.json").read_text())["own"]
    assert curves["compactness"][0] == 0
    assert curves["generalisation"][0] > curves["generalisation"][-1]
    assert len((tmp_path / "own_curves.csv").read_text().splitlines()) == len(curves["components"]) + 1
    with Image.open(tmp_path / "own_curves.png") as picture:
        assert picture.size[0] > 1000
    assert main(["model", "build", "--out", str(out)]) == 2
    assert main(["model", "build", str(folder), "--out", str(tmp_path / "own.bin")]) == 2
