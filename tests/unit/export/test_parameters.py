"""parameters.json: equal after a round trip, and strict about every kind of damage."""

import json
from dataclasses import fields, is_dataclass, replace

import pytest
import torch

from facewright.core.errors import InputError
from facewright.export import SavedParameters, read_parameters, write_parameters
from facewright.scene.camera import PerspectiveCamera, WeakPerspectiveCamera
from facewright.scene.lighting import PointLight, SphericalHarmonicsLight
from facewright.scene.parameters import HeadParameters
from facewright.scene.pose import Pose


@pytest.fixture
def saved():
    generator = torch.Generator().manual_seed(3)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    turn = draw(1, 3, 3)
    parameters = HeadParameters(
        identity=draw(1, 5),
        expression=draw(1, 3),
        diffuse=draw(1, 4),
        specular=draw(1, 2),
        pose=Pose(torch.linalg.matrix_exp(turn - turn.mT), draw(1, 3)),
        camera=PerspectiveCamera(draw(1).abs() * 1000, draw(1, 2), (480, 640)),
        light=SphericalHarmonicsLight(draw(1, 9, 3)),
        point_light=PointLight(draw(1, 3), draw(1, 3)),
        shininess=draw(1).exp(),
    )
    return SavedParameters(
        model_name="base",
        model_version="1",
        photo="naïve photo.jpg",
        parameters=parameters,
        expression_names=("jawOpen", "jawLeft", "jawRight"),
        detected_landmarks_px=draw(478, 2) * 300,
        fitted_landmarks_px=draw(478, 2) * 300,
        landmarks_mm=draw(478, 3) * 60,
        seconds={"detection": 0.02, "total": 3.0},
        notes={"settings": {"photometric": True}},
    )


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return a == b


@pytest.mark.parametrize("variant", ["perspective", "weak_perspective", "no_point_light"])
def test_round_trip_is_exact(saved, tmp_path, variant):
    if variant == "weak_perspective":
        camera = WeakPerspectiveCamera(torch.tensor([1 / 3]), torch.tensor([[0.1, 0.2]]), (10, 20))
        saved = replace(saved, parameters=replace(saved.parameters, camera=camera))
    if variant == "no_point_light":
        saved = replace(saved, parameters=replace(saved.parameters, point_light=None))
    write_parameters(tmp_path / "p.json", saved)
    read = read_parameters(tmp_path / "p.json")
    assert same(saved, read)
    nudged = replace(read, landmarks_mm=read.landmarks_mm * (1 + 1e-6))
    assert not same(saved, nudged)  # the comparison can fail


def test_the_file_is_plain_json_with_the_contract_s_fields(saved, tmp_path):
    write_parameters(tmp_path / "p.json", saved)
    content = json.loads((tmp_path / "p.json").read_text())
    assert content["format_version"] == 1
    assert {"facewright_version", "model", "camera", "pose", "coefficients", "light", "seconds"} <= set(
        content
    )
    assert len(content["detected_landmarks_px"]) == len(content["fitted_landmarks_px"]) == 478
    assert len(content["landmarks_mm"]) == 478
    assert len(content["landmarks_mm"][0]) == 3


DAMAGE = {
    "missing": (lambda c: c.pop("pose"), "'pose' is missing"),
    "version": (lambda c: c.update(format_version=2), "format version 1, got 2"),
    "type": (lambda c: c.update(photo=3), "photo: expected a text"),
    "boolean": (lambda c: c["camera"].update(height=True), "whole number"),
    "short row": (lambda c: c["landmarks_mm"][0].pop(), "rows of 3 numbers"),
    "lost rows": (lambda c: c["fitted_landmarks_px"].pop(), "expected 478 rows"),
    "text for number": (lambda c: c["coefficients"]["identity"].append("1"), "finite number"),
    "too large": (lambda c: c["camera"].update(focal_px=1e300), "finite number"),
    "huge integer": (lambda c: c["camera"].update(focal_px=10**400), "finite number"),
    "camera": (lambda c: c["camera"].update(type="fisheye"), "fisheye"),
    "names": (lambda c: c["coefficients"]["expression_names"].pop(), "3 expression values but 2 names"),
    "no height": (lambda c: c["camera"].update(height=-5), "from 1 to"),
    "no width": (lambda c: c["camera"].update(width=10**30), "from 1 to"),
    "behind": (lambda c: c["camera"].update(focal_px=-3.0), "above 0"),
    "flat": (lambda c: c["camera"].update(focal_px=1e-60), "above 0"),
    "stretched": (lambda c: c["pose"].update(rotation=[[9, 0, 0], [0, 9, 0], [0, 0, 0]]), "proper rotation"),
    "mirrored": (lambda c: c["pose"].update(rotation=[[1, 0, 0], [0, 1, 0], [0, 0, -1]]), "proper rotation"),
    "convention": (lambda c: c["pose"].update(convention="head_from_camera"), "camera_from_head"),
    "no convention": (lambda c: c["pose"].pop("convention"), "'convention' is missing"),
    "frame": (lambda c: c["light"].update(frame="head"), "expected 'camera'"),
    "rotation": (lambda c: c["pose"]["rotation"].pop(), "expected 3 rows"),
    "long": (lambda c: c["coefficients"].update(diffuse=[0] * 100_001), "at most 100000"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_gets_one_clear_line(saved, tmp_path, name):
    change, message = DAMAGE[name]
    path = tmp_path / "p.json"
    write_parameters(path, saved)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message) as caught:
        read_parameters(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"[1]", b'{"format_version": NaN}', b"\xff\xfe", b"{" * 100_000, b'{"a":' * 100_000]
)
def test_what_is_not_such_a_file_is_refused(tmp_path, content):
    path = tmp_path / "p.json"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read_parameters(path)


def test_a_file_that_is_too_large_is_not_read(saved, tmp_path, monkeypatch):
    path = tmp_path / "p.json"
    write_parameters(path, saved)
    monkeypatch.setattr("facewright.export.parameters.MAX_FILE_BYTES", 100)
    with pytest.raises(InputError, match="larger"):
        read_parameters(path)


def test_values_that_are_not_finite_are_not_written(saved, tmp_path):
    broken = replace(saved, landmarks_mm=saved.landmarks_mm * float("inf"))
    with pytest.raises(InputError, match="finite"):
        write_parameters(tmp_path / "p.json", broken)
    assert not list(tmp_path.iterdir())
