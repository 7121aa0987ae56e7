"""A face model in scale and direction: its lengths are those of meshes, its arcs stay on the sphere."""

from dataclasses import replace

import pytest
import torch
from tests.miniature_head import miniature_model

from facewright.core.assets import read_safetensors, write_safetensors
from facewright.core.errors import AssetError, InputError
from facewright.models.sphere_model import (
    SphereModel,
    load_sphere_model,
    measured,
    nearest_identities,
    open_sphere,
    save_sphere_model,
    slerp,
    sphere_model,
    unit,
)
from facewright.models.storage import ModelOrigin, load_face_model, save_face_model

ORIGIN = ModelOrigin("none", "a test", "pytest")


@pytest.fixture(scope="module")
def head():
    model = miniature_model()
    generator = torch.Generator().manual_seed(3)
    sizes = torch.linspace(9, 1, 12)[:, None, None]
    basis = sizes * torch.randn(12, len(model.mean), 3, generator=generator)
    return replace(model, identity_basis=basis + 0.5 * basis.mean(0))  # far from orthogonal


@pytest.fixture(scope="module")
def sphere(head):
    return sphere_model(head, region_of(head))


def region_of(head):
    return head.mean[:, 2] > head.mean[:, 2].median()


def drawn(count, dimensions, seed=0):
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed))


def test_a_mesh_is_as_far_from_the_mean_as_its_scale(sphere):
    coefficients = drawn(8, sphere.dimensions)
    scale, direction = sphere.scale_direction(coefficients)
    offset = (sphere.face_model.vertices(coefficients) - sphere.face_model.mean)[:, sphere.region]
    lengths = offset.double().flatten(1).norm(dim=1).float()
    torch.testing.assert_close(lengths, scale, rtol=1e-5, atol=0)
    torch.testing.assert_close(direction.norm(dim=1), torch.ones(8))
    assert sphere.orthonormality < 1e-5
    # The control: another region has other lengths.
    other = replace(sphere, region=~sphere.region)
    assert other.orthonormality > 1e-3


def test_a_basis_that_is_not_orthonormal_keeps_the_length(head):
    """Codes are then no distances of meshes, but a mesh still is as far from the mean as its scale."""
    basis = head.identity_basis
    skewed = measured(SphereModel(head, torch.linspace(9, 1, 12), region_of(head), 1.0, 1.0))
    assert skewed.orthonormality > 1
    coefficients = drawn(8, 12)
    scale, direction = skewed.scale_direction(coefficients)
    meshes = (coefficients @ basis.flatten(1)).unflatten(1, (-1, 3))[:, skewed.region]
    torch.testing.assert_close(meshes.flatten(1).norm(dim=1), scale, rtol=1e-5, atol=0)
    torch.testing.assert_close(skewed.codes_from_scale_direction(scale, direction), coefficients)
    torch.testing.assert_close(skewed.codes(coefficients).norm(dim=1), scale)
    # The control: the length of the coefficients along the basis is another.
    assert not torch.allclose((coefficients * skewed.deviations).norm(dim=1), scale, rtol=0.1)
    # Codes tell how far faces are apart, though they are not as far apart themselves.
    faces = skewed.faces(skewed.codes(coefficients).double()).float()
    count = float(skewed.region.sum())
    torch.testing.assert_close(
        torch.pdist(faces), torch.pdist(meshes.flatten(1)) / count**0.5, rtol=1e-4, atol=0
    )
    codes = skewed.codes(coefficients) / count**0.5
    assert not torch.allclose(torch.pdist(codes), torch.pdist(faces), rtol=0.1)


def test_of_faces_that_a_model_has_not_the_nearest_are_found(head, sphere):
    few, region = replace(head, identity_basis=head.identity_basis[:5]), sphere.region
    faces = sphere.face_model.vertices(drawn(3, sphere.dimensions))
    found = nearest_identities(few, faces, region)
    rest = (faces - few.vertices(found))[:, region].flatten(1)
    along = rest @ few.identity_basis[:, region].flatten(1).T  # nothing of the rest is left along the axes
    assert float(along.abs().max()) < 1e-3 * float(rest.norm() * few.identity_basis.norm())
    twice = replace(head, identity_basis=torch.cat([head.identity_basis, head.identity_basis[:1]]))
    with pytest.raises(InputError, match="not independent"):
        nearest_identities(twice, faces, region)


def test_orthonormality_is_measured_where_the_model_is(sphere):
    with torch.device("meta"):  # the default of what names no device
        assert sphere.orthonormality < 1e-5
        assert measured(sphere).gram is None


def test_scale_and_direction_lead_back_to_the_coefficients(sphere):
    coefficients = drawn(5, sphere.dimensions)
    scale, direction = sphere.scale_direction(coefficients)
    torch.testing.assert_close(sphere.codes_from_scale_direction(scale, direction), coefficients)
    torch.testing.assert_close(sphere.codes_from_scale_direction(scale, 3 * direction), coefficients)


def test_the_faces_are_those_of_the_model_it_was_made_of(head, sphere):
    """The distribution stays: the same mean square displacement of every coordinate."""
    before = head.identity_basis.double().square().sum(0)
    after = sphere.face_model.identity_basis.double().square().sum(0)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)
    scale, _ = sphere.scale_direction(drawn(20_000, sphere.dimensions))
    assert float(scale.mean()) == pytest.approx(sphere.scale_mean, rel=0.02)
    assert float(scale.std()) == pytest.approx(sphere.scale_std, rel=0.1)


def test_distances_keep_their_order(sphere):
    """Equation 4: the distance of two codes is the distance of their meshes."""
    coefficients = drawn(12, sphere.dimensions)
    meshes = sphere.face_model.vertices(coefficients)[:, sphere.region].flatten(1).double()
    between_meshes = torch.pdist(meshes)
    between_codes = torch.pdist(sphere.codes(coefficients).double())
    torch.testing.assert_close(between_codes, between_meshes, rtol=1e-5, atol=0)
    assert torch.equal(between_codes.argsort(), between_meshes.argsort())
    # The control: coefficients, which are standard deviations, have another order.
    assert not torch.equal(torch.pdist(coefficients.double()).argsort(), between_meshes.argsort())


def test_a_mesh_gives_its_coefficients_back(sphere):
    coefficients = drawn(3, sphere.dimensions)
    found = sphere.coefficients_of(sphere.face_model.vertices(coefficients))
    torch.testing.assert_close(found, coefficients, rtol=1e-3, atol=1e-3)


def test_slerp_stays_on_the_sphere_and_goes_evenly():
    first, last = drawn(4, 9, 1), drawn(4, 9, 2)
    shares = torch.linspace(0, 1, 7)
    way = slerp(first, last, shares).unflatten(0, (4, 7))
    torch.testing.assert_close(way.norm(dim=2), torch.ones(4, 7))
    unit_first = torch.nn.functional.normalize(first, dim=1)
    torch.testing.assert_close(way[:, 0], unit_first)
    torch.testing.assert_close(way[:, -1], torch.nn.functional.normalize(last, dim=1))
    steps = (way[:, 1:] * way[:, :-1]).sum(2).clamp(max=1).acos()
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps), rtol=1e-3, atol=1e-4)
    # The control: the straight line between them leaves the sphere.
    line = torch.lerp(unit_first, torch.nn.functional.normalize(last, dim=1), 0.5)
    assert bool((line.norm(dim=1) < 0.99).all())


def test_slerp_of_equal_directions_is_that_direction():
    first = drawn(1, 9)
    way = slerp(first, 2 * first, torch.tensor([0.0, 0.3, 1.0]))
    torch.testing.assert_close(way, torch.nn.functional.normalize(first, dim=1).expand(3, 9))


def test_opposite_and_zero_codes_are_refused(sphere):
    first = drawn(1, 9)
    with pytest.raises(InputError, match="opposite"):
        slerp(first, -first, torch.tensor([0.5]))
    with pytest.raises(InputError, match="no direction"):
        sphere.scale_direction(torch.zeros(2, sphere.dimensions))
    with pytest.raises(InputError, match="no direction"):
        sphere.codes_from_scale_direction(torch.ones(1), torch.zeros(1, sphere.dimensions))
    for wrong in (float("inf"), float("nan")):
        with pytest.raises(InputError, match=f"code 1 has the length {wrong}"):
            unit(torch.tensor([[3.0, 4.0], [wrong, 1.0]]))


def test_interpolation_is_linear_in_scale(sphere):
    first, last = drawn(1, sphere.dimensions, 1), 2 * drawn(1, sphere.dimensions, 2)
    way = sphere.interpolate(first, last, torch.tensor([0.0, 0.25, 1.0]))
    scale, _ = sphere.scale_direction(way)
    torch.testing.assert_close(scale[1], 0.75 * scale[0] + 0.25 * scale[2])
    torch.testing.assert_close(way[[0, 2]], torch.cat([first, last]))


def test_a_file_gives_the_sphere_back_and_is_a_face_model(tmp_path, sphere):
    path = tmp_path / "sphere.safetensors"
    save_sphere_model(path, sphere, ORIGIN)
    read = load_sphere_model(path)
    assert isinstance(read, SphereModel)
    assert (read.scale_mean, read.scale_std) == (sphere.scale_mean, sphere.scale_std)
    assert torch.equal(read.deviations, sphere.deviations)
    assert torch.equal(read.region, sphere.region)
    plain = load_face_model(path)
    assert torch.equal(plain.identity_basis, sphere.face_model.identity_basis)
    assert torch.equal(open_sphere(path)[1].deviations, sphere.deviations)


def test_any_face_model_is_opened_as_a_sphere(tmp_path, head):
    path = tmp_path / "plain.safetensors"
    save_face_model(path, head, ORIGIN)
    model, opened = open_sphere(path)
    coefficients = drawn(4, len(head.identity_basis))
    own = opened.own_coefficients(coefficients)
    torch.testing.assert_close(
        opened.face_model.vertices(own), model.vertices(coefficients), rtol=0, atol=1e-2
    )


def test_another_face_model_is_no_sphere(tmp_path, head):
    path = tmp_path / "plain.safetensors"
    save_face_model(path, head, ORIGIN)
    with pytest.raises(AssetError, match="without scale and direction"):
        load_sphere_model(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("deviations", torch.zeros(12)),
        ("deviations", torch.ones(11)),
        ("region", torch.zeros(1, dtype=torch.bool)),
        ("scale_mean", 0.0),
    ],
)
def test_a_damaged_sphere_is_refused(tmp_path, sphere, name, value):
    path = tmp_path / "damaged.safetensors"
    save_sphere_model(path, replace(sphere, turn=None, **{name: value}), ORIGIN)
    with pytest.raises(AssetError, match="no whole Sphere Face Model"):
        load_sphere_model(path)


def test_a_model_that_does_not_vary_is_refused(head):
    with pytest.raises(InputError, match="no identities"):
        sphere_model(replace(head, identity_basis=torch.zeros(2, len(head.mean), 3)))


def test_a_file_whose_basis_is_another_than_it_says_is_refused(tmp_path, sphere):
    """Axes of other signs: a whole model, whose codes mean something else."""
    path = tmp_path / "sphere.safetensors"
    save_sphere_model(path, sphere, ORIGIN)
    read = load_sphere_model(path)
    assert len(read.digest) == 16
    tensors, header = read_safetensors(path)
    turned = {**tensors, "identity_basis": -tensors["identity_basis"]}
    write_safetensors(path, turned, header)
    with pytest.raises(AssetError, match="digest"):
        load_sphere_model(path)
    face = replace(sphere.face_model, identity_basis=-sphere.face_model.identity_basis)
    save_sphere_model(path, replace(sphere, face_model=face), ORIGIN)  # the control: told as it is
    assert load_sphere_model(path).digest != read.digest
