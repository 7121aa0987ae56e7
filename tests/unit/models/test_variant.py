"""The small file of a model that is the base head with another mean and identity."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from facewright.core.assets import read_safetensors
from facewright.core.errors import AssetError
from facewright.models.base import load_base_model
from facewright.models.sphere_model import load_sphere_model, measured, sphere_model, sphere_parts
from facewright.models.storage import load_face_model
from facewright.models.variant import load_variant, save_variant, stored_variant


@pytest.fixture(scope="module")
def base():
    return load_base_model()


@pytest.fixture(scope="module")
def made(base, tmp_path_factory):
    """A sphere of the base head's own identities, which the base head's file can hold."""
    sphere = sphere_model(base, base.regions["face_tight"], dimensions=8)
    moved = replace(sphere.face_model, name="other", mean=base.mean + base.identity_basis[3])
    stored, held = stored_variant(moved, base)
    sphere = measured(replace(sphere, face_model=stored))
    more, header = sphere_parts(sphere, held)
    path = tmp_path_factory.mktemp("variant") / "other.safetensors"
    save_variant(path, {**held, **more}, base, {**header, "name": "other", "version": "1"})
    return moved, sphere, path


def test_a_variant_is_a_face_model_and_a_sphere(made, base):
    model, sphere, path = made
    read = load_sphere_model(path)
    assert torch.equal(read.face_model.identity_basis, sphere.face_model.identity_basis)
    assert torch.equal(load_face_model(path).mean, sphere.face_model.mean)
    skin = base.parts["skin"]
    assert float((read.face_model.mean - model.mean)[skin].abs().max()) < 0.01  # mm
    moved = (read.face_model.identity_basis - model.identity_basis)[:, skin].abs().max()
    assert float(moved) < 0.005 * float(model.identity_basis.abs().max())
    assert path.stat().st_size < 1 << 20
    # Half precision leaves an orthonormal basis nearly so, and a length exact.
    assert read.orthonormality < 1e-3
    coefficients = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    scale, _ = read.scale_direction(coefficients)
    meshes = (read.face_model.vertices(coefficients) - read.face_model.mean)[:, read.region]
    torch.testing.assert_close(meshes.double().flatten(1).norm(dim=1).float(), scale, rtol=1e-5, atol=0)


def test_damage_and_other_versions_are_told(made, base, tmp_path):
    path = made[2]
    with pytest.raises(AssetError, match="version"):
        load_variant(path, replace(base, version="another"))
    tensors, header = load_file(path), read_safetensors(path)[1]
    tensors["identity_basis"] = tensors["identity_basis"][:-1]
    save_file(tensors, tmp_path / "short.safetensors", header)
    with pytest.raises(AssetError, match="not a whole face model"):
        load_face_model(tmp_path / "short.safetensors")
