"""Distances and their summaries against closed forms and independent computations."""

import numpy as np
import pytest

from facewright.core.errors import InputError
from facewright.evaluation.geometry_metrics import (
    angles_between,
    area_under_ced,
    box_normalizer,
    chamfer_distance,
    cumulative_errors,
    normalized_mean_error,
    point_to_plane,
    point_to_surface,
    summarize,
    vertex_rmse,
)
from facewright.geometry.nearest import index_surface

SQUARE = np.array([[-50.0, -50, 0], [50, -50, 0], [50, 50, 0], [-50, 50, 0]])
SQUARE_FACES = np.array([[0, 1, 2], [0, 2, 3]])


def sphere(radius, steps):
    """A sphere whose faces' middles lie on it: every distance to the sphere is known to second order."""
    u, v = np.meshgrid(np.linspace(0, 2 * np.pi, 2 * steps + 1)[:-1], np.linspace(0, np.pi, steps + 1))
    points = radius * np.stack([np.sin(v) * np.cos(u), np.sin(v) * np.sin(u), np.cos(v)], -1)
    index = np.arange(points[..., 0].size).reshape(steps + 1, 2 * steps)
    a, b = index[:-1], index[1:]
    c, d = np.roll(b, -1, 1), np.roll(a, -1, 1)
    faces = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    return points.reshape(-1, 3), faces


def test_distances_to_a_plane_are_exact_inside_and_beyond_its_edge():
    surface = index_surface(SQUARE, SQUARE_FACES)
    points = np.array([[3.0, -7, 2.5], [10, 20, -4], [53, 0, 4], [53, 54, 0]])
    np.testing.assert_allclose(point_to_surface(surface, points), [2.5, 4, 5, 5], atol=1e-6)
    np.testing.assert_allclose(point_to_plane(surface, points), [2.5, 4, 4, 0], atol=1e-6)


def test_a_vertex_of_a_sphere_offset_by_d_is_d_away():
    vertices, faces = sphere(80.0, 40)
    surface = index_surface(vertices, faces)
    for offset in (-1.5, 0.7):
        moved = vertices * (1 + offset / 80)
        inside = np.abs(moved[:, 2]) < 75
        expected = np.full(int(inside.sum()), abs(offset))
        if offset > 0:  # outside, the vertex itself is nearest
            np.testing.assert_allclose(point_to_surface(surface, moved[inside]), expected, atol=1e-6)
        # inside, the chord is nearer than the arc, by at most the sagitta
        assert np.abs(point_to_surface(surface, moved[inside]) - expected).max() < 0.07
        assert np.abs(point_to_plane(surface, moved[inside]) - expected).max() < 0.25


def test_the_distance_to_vertices_would_be_caught():
    """Control: nearest vertices in place of nearest surface points."""
    surface = index_surface(SQUARE, SQUARE_FACES)
    to_vertices = np.linalg.norm(np.array([[3.0, -7, 2.5]]) - SQUARE[:, None], axis=-1).min()
    assert abs(to_vertices - point_to_surface(surface, np.array([[3.0, -7, 2.5]]))[0]) > 1


def test_nothing_is_at_no_distance():
    assert len(point_to_surface(index_surface(SQUARE, SQUARE_FACES), np.zeros((0, 3)))) == 0


def test_a_summary_is_that_of_numpy():
    errors = np.random.default_rng(1).gamma(2.0, 0.7, 999)
    told = summarize(errors)
    assert told.count == 999
    assert told.mean == pytest.approx(errors.sum() / 999, abs=1e-12)
    assert told.median == pytest.approx(np.sort(errors)[499], abs=1e-12)
    assert told.rms**2 == pytest.approx(told.mean**2 + told.std**2, abs=1e-12)
    assert told.std != pytest.approx(errors.std(ddof=1), abs=1e-9)  # population, not sample
    assert told.p95 == pytest.approx(np.percentile(errors, 95))
    for bad in (np.array([]), np.array([1.0, np.nan])):
        with pytest.raises(InputError):
            summarize(bad)


def test_the_cumulative_curve_and_its_area():
    errors = np.array([0.5, 1.0, 1.0, 3.0])
    np.testing.assert_allclose(
        cumulative_errors(errors, np.array([0.0, 0.5, 1.0, 2.9, 3.0])), [0, 0.25, 0.75, 0.75, 1]
    )
    fine = np.linspace(0, 4, 400_001)
    assert area_under_ced(errors, 4.0) == pytest.approx(
        np.trapezoid(cumulative_errors(errors, fine), fine) / 4, abs=1e-5
    )
    assert area_under_ced(np.zeros(3), 5.0) == 1
    assert area_under_ced(np.full(3, 9.0), 5.0) == 0
    with pytest.raises(InputError):
        area_under_ced(errors, 0.0)


def test_normalized_and_vertex_errors():
    true = np.random.default_rng(2).normal(0, 40, (50, 3))
    predicted = true + np.array([3.0, 0, 4.0])
    assert normalized_mean_error(predicted, true, 100.0) == pytest.approx(0.05, abs=1e-12)
    assert vertex_rmse(predicted, true) == pytest.approx(5.0, abs=1e-12)
    assert vertex_rmse(true * 1.1, true) == pytest.approx(0.1 * np.sqrt((true**2).sum(1).mean()), abs=1e-9)
    assert box_normalizer(np.array([[0.0, 0], [4, 9], [2, 3]])) == pytest.approx(6.0)
    with pytest.raises(InputError):
        normalized_mean_error(predicted, true, 0.0)


def test_chamfer_pools_all_distances():
    assert chamfer_distance(np.array([1.0, 1.0, 1.0]), np.array([5.0])) == 2.0
    assert chamfer_distance(np.array([1.0, 1.0, 1.0]), np.array([5.0])) != 3.0  # not the mean of means


def test_angles_are_accurate_where_arccos_is_not():
    tiny = 1e-9
    a, b = np.array([[0.0, 0, 1]]), np.array([[np.sin(tiny), 0, np.cos(tiny)]])
    assert angles_between(a, b)[0] == pytest.approx(tiny, rel=1e-6)
    assert np.arccos((a * b).sum()) != pytest.approx(tiny, rel=1e-6)
    assert angles_between(a, np.array([[1.0, 0, 0]]))[0] == pytest.approx(np.pi / 2)
