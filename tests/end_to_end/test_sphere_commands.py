"""The shipped Sphere Face Model in the commands that take a face model, as a user would give it."""

import json
from pathlib import Path

import pytest

from facewright.cli.main import main
from facewright.core.assets import asset_path
from facewright.data.shard_reader import ShardSet
from facewright.export import read_parameters
from facewright.models.sphere_model import load_sphere_model

SPHERE = asset_path("sphere.safetensors")


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory, portraits: dict[str, Path]) -> Path:
    out = tmp_path_factory.mktemp("reconstructed")
    quick = ["--no-photometric", "--texture-size", "128"]
    photo = str(portraits["astronaut"])
    assert main(["reconstruct", photo, "--out", str(out), "--model", str(SPHERE), *quick]) == 0
    return out / "astronaut"


def test_reconstruct_gives_a_head_of_the_sphere(head: Path) -> None:
    sphere, saved = load_sphere_model(SPHERE), read_parameters(head / "parameters.json")
    identity = saved.parameters.identity
    assert identity.shape == (1, 199)
    assert saved.model_name == sphere.face_model.name
    scale, direction = sphere.scale_direction(identity)
    assert float(direction.norm()) == pytest.approx(1, abs=1e-5)
    assert 50 < float(scale) < 600  # mm times root of vertices: a person, neither the mean face nor noise
    found = saved.fitted_landmarks_px - saved.detected_landmarks_px
    eyes = saved.detected_landmarks_px[[33, 263]].diff(dim=0).norm()
    assert float(found.norm(dim=1).median() / eyes) < 0.02


def test_synthesize_photographs_heads_of_the_sphere(tmp_path: Path) -> None:
    command = ["synthesize", "synthetic-celeba", "--count", "1", "--model", str(SPHERE)]
    assert main([*command, "--out", str(tmp_path)]) == 0
    photo = ShardSet.open(tmp_path).photo(0)
    model = load_sphere_model(SPHERE).face_model
    at = photo.parameters
    assert at.identity.shape == (1, 199)
    drawn = model.vertices(at.identity, at.expression)[0]
    assert float((drawn - photo.vertices).abs().max()) < 0.05  # mm; files round coefficients


def test_register_brings_a_scan_onto_the_sphere(head: Path, tmp_path: Path) -> None:
    scan = str(head / "head.obj")
    assert main(["register", scan, "--unit", "mm", "--model", str(SPHERE), "--out", str(tmp_path)]) == 0
    told = json.loads((tmp_path / "head" / "registration.json").read_text())
    assert told["model"]["name"] == load_sphere_model(SPHERE).face_model.name
    assert told["face"]["distance_mm"]["mean"] < 0.2


def test_the_encoder_gives_directions_of_the_sphere(
    portraits: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, model = str(portraits["astronaut"]), ["--model", str(SPHERE)]
    quick = ["--texture-size", "128", "--no-uncover"]
    command = ["reconstruct", photo, "--method", "sphere", "--out", str(tmp_path), *quick]
    assert main([*command, *model]) == 0
    saved = read_parameters(tmp_path / "astronaut" / "parameters.json")
    sphere = load_sphere_model(SPHERE)
    assert saved.model_name == sphere.face_model.name
    assert saved.parameters.identity.shape == (1, sphere.dimensions)
    assert 50 < float(sphere.scale_direction(saved.parameters.identity)[0]) < 400
    found = saved.fitted_landmarks_px - saved.detected_landmarks_px
    eyes = saved.detected_landmarks_px[[33, 263]].diff(dim=0).norm()
    assert float(found.norm(dim=1).median() / eyes) < 0.05
    capsys.readouterr()
    assert main(["verify", photo, photo, "--json", *model]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["cosine"] == pytest.approx(1, abs=1e-3)
    assert told["distance_mm"] < 0.05
