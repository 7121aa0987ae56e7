"""A head in miniature goes through the steps that need neither the source nor the landmarker."""

import numpy as np
import pytest

from base_model.identity import principal_components
from base_model.landmarking import closest_weights
from base_model.raw_space import RawSpace, flip, mirror_map, without_rigid
from base_model.skin_optics import skin_rgb
from base_model.surface_fit import linear_points, sample_surface
from facewright.data.datasets.kept_out import is_kept_out


def miniature() -> RawSpace:
    """A symmetric bumpy sheet of 11 x 9 points with five directions."""
    x, y = np.meshgrid(np.linspace(-50, 50, 11), np.linspace(-40, 40, 9))
    mean = np.stack([x.ravel(), y.ravel(), 20 * np.cos(x / 40).ravel()], axis=1)
    generator = np.random.default_rng(0)
    direction = generator.standard_normal((5, len(mean), 3))
    return RawSpace(mean, direction, np.ones(5), mirror_map(mean))


def test_mirror_map_refuses_what_is_not_symmetric() -> None:
    space = miniature()
    np.testing.assert_array_equal(space.mirror[space.mirror], np.arange(99))
    with pytest.raises(ValueError, match="not symmetric"):
        mirror_map(space.mean + 0.5 * np.eye(99, 3))


def test_components_are_even_or_odd_and_hold_the_covariance() -> None:
    space = miniature()
    factor = np.diag([3.0, 2.0, 1.0, 0.5, 0.2])
    basis, share = principal_components(space, factor, 10)
    assert share.sum() == pytest.approx(1.0)
    assert (np.diff(share) <= 1e-12).all()
    for shape in basis:
        mirrored = flip(shape, space.mirror)
        assert min(np.abs(shape - mirrored).max(), np.abs(shape + mirrored).max()) < 1e-6
    total = sum((shape**2).sum() for shape in basis)
    raw = np.tensordot(factor, space.direction, 1)
    assert total == pytest.approx((raw**2).sum())
    assert not np.allclose(raw[0], flip(raw[0], space.mirror), atol=0.1)


def test_rigid_motion_is_taken_out_and_shape_is_not() -> None:
    space = miniature()
    anchor = np.ones(99, dtype=bool)
    turned = np.cross([0.0, 0.02, 0.01], space.mean) + np.array([1.0, -2.0, 0.5])
    left = without_rigid(np.stack([turned, turned + space.direction[0]]), space.mean, anchor)
    assert np.abs(left[0]).max() < 1e-9
    assert np.linalg.norm(left[1]) > 0.8 * np.linalg.norm(space.direction[0])


def test_skin_darkens_with_melanin_and_reddens_with_blood() -> None:
    tones = skin_rgb(np.array([0.01, 0.1, 0.3]), np.full(3, 0.01))
    assert (np.diff(tones, axis=0) < 0).all()
    assert (tones > 0).all()
    pale, flushed = skin_rgb(np.array([0.02, 0.02]), np.array([0.005, 0.05]))
    assert flushed[0] / flushed[1] > 1.3 * pale[0] / pale[1]


def test_closest_weights_find_corners_edges_and_insides() -> None:
    corners = np.array([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]])
    for point, weights in (
        ([0.25, 0.25, 3.0], [0.5, 0.25, 0.25]),
        ([-1.0, -1.0, 0.0], [1, 0, 0]),
        ([0.5, -2.0, 0.0], [0.5, 0.5, 0]),
    ):
        np.testing.assert_allclose(closest_weights(np.array(point), corners)[0], weights, atol=1e-9)


def test_surface_samples_lie_on_the_mesh_and_linear_points_are_linear() -> None:
    space = miniature()
    surface = sample_surface(space.mean, np.array([[0, 1, 12], [0, 12, 11]]))
    assert np.allclose(np.linalg.norm(surface.normals, axis=1), 1)
    assert surface.tree.query(space.mean[12])[0] < 1e-9
    points = linear_points(np.eye(99)[[3, 5]], space.mean, space.direction)
    moved = points.at(np.array([0.0, 2.0, 0, 0, 0]))
    np.testing.assert_allclose(moved, space.mean[[3, 5]] + 2 * space.direction[1, [3, 5]])


def test_a_tenth_of_the_people_is_kept_out() -> None:
    share = np.mean([is_kept_out(f"Person_{number}") for number in range(3000)])
    assert 0.08 < share < 0.12
