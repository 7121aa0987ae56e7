"""Closest points on a triangle surface against brute force."""

import numpy as np
import pytest
from scipy.spatial import KDTree

from facewright.core.errors import InputError
from facewright.geometry.nearest import CHUNK, closest_points, index_surface


def grid(count, bump=3.0):
    x, y = np.meshgrid(np.linspace(-10, 10, count), np.linspace(-10, 10, count), indexing="ij")
    vertices = np.stack([x, y, bump * np.sin(x / 3) * np.cos(y / 4)], -1).reshape(-1, 3)
    index = np.arange(count * count).reshape(count, count)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    faces = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    return vertices, faces


def brute_force(vertices, faces, queries):
    """Distance to the surface by dense sampling of every triangle."""
    steps = np.array([(i, j, 60 - i - j) for i in range(61) for j in range(61 - i)]) / 60
    samples = np.einsum("sk,fkd->fsd", steps, vertices[faces]).reshape(-1, 3)
    return np.array([np.linalg.norm(samples - q, axis=-1).min() for q in queries])


def spiky():
    """A grid with a fan of long thin triangles over it: their corners are far from their middles."""
    vertices, faces = grid(9)
    extra = np.array([[-30.0, 0, 5], [30, 0.1, 5], [30, -0.1, 5]])
    return np.concatenate([vertices, extra]), np.concatenate([faces, [[81, 82, 83]]])


@pytest.mark.parametrize("surface", [grid(9), grid(15, 12.0), spiky()], ids=["flat", "bumpy", "long"])
def test_distances_are_those_of_brute_force(surface):
    queries = np.random.default_rng(0).uniform(-14, 14, (40, 3))
    found = closest_points(index_surface(*surface), queries)
    truth = brute_force(*surface, queries)  # pyright: ignore[reportCallIssue]
    assert (found.distance <= truth + 1e-9).all()
    assert (truth - found.distance).max() < 0.25
    np.testing.assert_allclose(np.linalg.norm(queries - found.points, axis=-1), found.distance, atol=1e-9)


def test_the_point_lies_in_its_triangle():
    vertices, faces = grid(9)
    found = closest_points(index_surface(vertices, faces), np.random.default_rng(1).normal(size=(50, 3)) * 8)
    assert (found.barycentric >= -1e-9).all()
    np.testing.assert_allclose(found.barycentric.sum(1), 1)
    again = (vertices[faces[found.triangle]] * found.barycentric[..., None]).sum(1)
    np.testing.assert_allclose(again, found.points)


def test_a_vertex_tree_alone_would_be_caught():
    """Control: the nearest vertex is not the nearest surface point, by more than the tolerance above."""
    vertices, faces = grid(9)
    queries = np.random.default_rng(0).uniform(-14, 14, (40, 3))
    to_vertex, _ = KDTree(vertices).query(queries)
    assert (to_vertex - closest_points(index_surface(vertices, faces), queries).distance).max() > 0.25


def test_it_is_the_closest_of_all_triangles():
    """Against the projection onto every triangle, which has no boxes to leave out; far queries see many."""
    vertices, faces = spiky()
    queries = np.random.default_rng(4).normal(size=(200, 3)) * [20, 20, 40]
    found = closest_points(index_surface(vertices, faces), queries)
    each = [closest_points(index_surface(vertices, faces[n : n + 1]), queries) for n in range(len(faces))]
    expected = np.stack([one.distance for one in each])
    np.testing.assert_array_equal(found.distance, expected.min(0))
    np.testing.assert_array_equal(expected[found.triangle, np.arange(200)], expected.min(0))


def test_many_queries_in_pieces_are_those_one_by_one():
    surface = index_surface(*grid(15, 12.0))
    queries = np.random.default_rng(5).uniform(-14, 14, (CHUNK + 100, 3))
    found = closest_points(surface, queries)
    last = closest_points(surface, queries[-150:])
    np.testing.assert_array_equal(found.distance[-150:], last.distance)
    np.testing.assert_array_equal(found.triangle[-150:], last.triangle)


def test_degenerate_triangles_do_no_harm():
    vertices, faces = grid(5)
    faces = np.concatenate([faces, [[3, 3, 3], [0, 1, 1]]])
    found = closest_points(index_surface(vertices, faces), vertices)
    np.testing.assert_allclose(found.distance, 0, atol=1e-9)


def test_an_empty_or_broken_surface_is_refused():
    with pytest.raises(InputError, match="at least one triangle"):
        index_surface(np.zeros((3, 3)), np.zeros((0, 3), dtype=np.int64))
    with pytest.raises(InputError, match="finite"):
        index_surface(np.full((3, 3), np.nan), np.array([[0, 1, 2]]))


def test_a_query_that_is_not_finite_is_refused():
    with pytest.raises(InputError, match="queries"):
        closest_points(index_surface(*grid(5)), np.full((1, 3), np.nan))


def test_vertices_without_triangles_do_not_lead_astray():
    """Eyeballs left out of a head keep their vertices: a query inside must still find the skin."""
    vertices, faces = grid(9)
    stray = np.random.default_rng(2).normal([0, 0, 60], 0.1, (30, 3))
    queries = np.array([[0.3, 0.2, 60.0], [1.0, -2.0, 55.0]])
    found = closest_points(index_surface(np.concatenate([vertices, stray]), faces), queries)
    expected = closest_points(index_surface(vertices, faces), queries)
    np.testing.assert_allclose(found.distance, expected.distance)
    assert (found.triangle >= 0).all()
