"""Model files: what is written comes back, and each kind of damage is refused with its own words."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.miniature_head import miniature_model

from facewright.core.assets import asset_path, read_safetensors
from facewright.core.errors import AssetError, InputError
from facewright.models.base import BASE_HEAD, load_base_model
from facewright.models.face_model import FaceModel
from facewright.models.storage import ModelOrigin, load_face_model, read_origin, save_face_model

ORIGIN = ModelOrigin("CC0-1.0", "a miniature", "the tests", ("no hair",))


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_face_model(path, miniature_model(), ORIGIN)
    return path


def assert_same(a: object, b: object) -> None:
    if isinstance(a, torch.Tensor):
        assert isinstance(b, torch.Tensor)
        assert a.dtype == b.dtype
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert isinstance(b, dict)
        assert list(a) == list(b)
        for key in a:
            assert_same(a[key], b[key])
    elif hasattr(a, "__dataclass_fields__"):
        for name in a.__dataclass_fields__:  # pyright: ignore[reportAttributeAccessIssue]
            assert_same(getattr(a, name), getattr(b, name))
    else:
        assert a == b


def test_a_model_comes_back_as_it_was(stored: Path) -> None:
    model = miniature_model()
    assert_same(model, load_face_model(stored))
    assert read_origin(stored) == ORIGIN
    with pytest.raises(AssertionError):
        assert_same(replace(model, mirror=model.mirror.flip(0)), load_face_model(stored))


def test_the_base_head_is_read_too() -> None:
    path = asset_path(BASE_HEAD)
    assert load_face_model(path).version == load_base_model().version
    assert "CC0" in read_origin(path).licence


def damaged(path: Path, change) -> Path:
    tensors = load_file(path)
    _, header = read_safetensors(path)
    change(tensors, header)
    save_file(tensors, path, header)
    return path


def put(name: str, value):
    def change(tensors: dict, header: dict) -> None:
        if isinstance(value, str):
            header[name] = value
        else:
            tensors[name] = value(tensors[name]).contiguous()

    return change


def nan_at_the_end(tensor: torch.Tensor) -> torch.Tensor:
    tensor.view(-1)[-1] = float("nan")
    return tensor


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("format", "something else"), "should say format"),
        (put("units", "m"), "should be in"),
        (put("expression_names", '["one"]'), "expected (1,"),
        (put("expression_names", "{}"), "no list of names"),
        (put("expression_names", "[" * 100_000), "not a whole face model"),
        (put("parts", '["skin", "skin", "left_eye", "tongue"]'), "twice"),
        (put("mean", nan_at_the_end), "mean holds numbers that are not finite"),
        (put("mean", lambda t: t[:-1]), "not a whole face model"),
        (put("mean", lambda t: t * 100), "mm large"),
        (put("mean", lambda t: t.int()), "expected floating point"),
        (put("identity_basis", nan_at_the_end), "identity_basis holds"),
        (put("faces", lambda t: t + 1000), "face indices"),
        (put("uv_faces", lambda t: t - 10_000), "face indices"),
        (put("mirror", lambda t: t.roll(1)), "mirror does not lead back"),
        (put("diffuse_mean", lambda t: t * 255), "diffuse_mean reaches"),
        (put("landmarks0.triangle", lambda t: t + 10_000), "points outside"),
        (put("landmarks0.weights", lambda t: t * 2), "do not sum to 1"),
        (put("expression_prior_std", lambda t: -t), "negative"),
        (lambda tensors, _: tensors.pop("uv"), "uv is missing"),
        (lambda _, header: header.pop("parts"), "parts is missing"),
    ],
)
def test_damage_is_refused(stored: Path, change, words: str) -> None:
    with pytest.raises(AssetError) as caught:
        load_face_model(damaged(stored, change))
    assert words in str(caught.value)


def test_files_that_are_no_models_are_refused(tmp_path: Path, stored: Path) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(stored.read_bytes()[:-100])
    empty = tmp_path / "empty.safetensors"
    empty.write_bytes(b"")
    for path in (cut, empty, tmp_path / "missing.safetensors"):
        with pytest.raises(AssetError):
            load_face_model(path)
    with pytest.raises(AssetError, match="where it comes from"):
        read_origin(damaged(stored, put("origin", '{"licence": 1}')))


def broken(model: FaceModel) -> FaceModel:
    return replace(model, mean=model.mean * float("nan"))


def test_a_broken_model_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(InputError, match="nothing was written"):
        save_face_model(path, broken(miniature_model()), ORIGIN)
    assert not list(tmp_path.iterdir())
