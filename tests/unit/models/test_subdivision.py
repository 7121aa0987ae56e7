"""Catmull-Clark matrices and crack-free adaptive meshes."""

import numpy as np
import pytest

from base_model.subdivision import AdaptiveMesh, Level, refine, subdivide_where


def grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Quads and points (z = 0) of a size x size sheet."""
    index = np.arange((size + 1) ** 2).reshape(size + 1, size + 1)
    quads = np.stack([index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]], axis=2).reshape(-1, 4)
    y, x = np.divmod(np.arange((size + 1) ** 2), size + 1)
    return quads, np.stack([x, y, 0 * x], axis=1).astype(float)


CUBE = np.array([[0, 3, 2, 1], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]])
CUBE_POINTS = np.array(
    [[-1, -1, -1], [1, -1, -1], [1, 1, -1], [-1, 1, -1], [-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]],
    dtype=float,
)


def two_levels(quads: np.ndarray, count: int, *, smooth: bool) -> list[Level]:
    first = refine(quads, count, smooth=smooth)
    return [first, refine(first.children, first.matrix.shape[0], smooth=smooth)]  # pyright: ignore[reportOptionalSubscript]


def adaptive(size: int, depth: np.ndarray) -> tuple[AdaptiveMesh, np.ndarray]:
    quads, points = grid(size)
    levels = two_levels(quads, len(points), smooth=True)
    mesh = subdivide_where(levels, two_levels(quads, len(points), smooth=False), depth, points)
    return mesh, points


def border_edges(faces: np.ndarray) -> np.ndarray:
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    assert count.max() <= 2
    return unique[count == 1]


@pytest.mark.parametrize("smooth", [True, False])
def test_every_fine_point_is_a_weighted_mean(smooth: bool) -> None:
    for level in two_levels(CUBE, 8, smooth=smooth):
        assert abs(level.matrix.sum(axis=1) - 1.0).max() < 1e-12


def test_cube_after_one_step_is_the_known_one() -> None:
    fine = refine(CUBE, 8, smooth=True).matrix @ CUBE_POINTS
    # Corner (F + 2R + 0 V) / 3 with F = 1/3, R = 2/3 of the corner: 5/9.
    np.testing.assert_allclose(fine[:8], CUBE_POINTS * 5.0 / 9.0, atol=1e-12)
    # Edge: mean of ends (1, 1, 0) and of two faces' middles (1, 0, 0), (0, 1, 0).
    np.testing.assert_allclose(
        np.sort(np.abs(fine[8:20]), axis=1), np.tile([0.0, 0.75, 0.75], (12, 1)), atol=1e-12
    )


def test_without_smoothing_the_points_stay() -> None:
    np.testing.assert_array_equal(refine(CUBE, 8, smooth=False).matrix[:8] @ CUBE_POINTS, CUBE_POINTS)


def test_mixed_depths_leave_no_crack() -> None:
    depth = np.zeros(36, dtype=int)
    depth[[14, 15, 20]] = [2, 1, 2]
    mesh, points = adaptive(6, depth)
    border = border_edges(mesh.faces)
    position = mesh.matrix @ points
    # Only the sheet's own rim is a border: both ends lie on the same side of the square.
    low, high = position.min(0)[:2], position.max(0)[:2]
    rim = (np.abs(position[:, :2] - low) < 1e-9) | (np.abs(position[:, :2] - high) < 1e-9)
    corner_loss = 4  # the four corners are rounded: the border rule of a corner is that of a smooth border
    assert (rim[border].all(1).any(1)).sum() >= len(border) - 2 * corner_loss  # pyright: ignore[reportArgumentType]
    assert len(border) == 4 * 6


def test_a_crack_would_be_seen() -> None:
    mesh, _ = adaptive(6, np.full(36, 1))
    assert len(border_edges(mesh.faces[1:])) > len(border_edges(mesh.faces))


def test_texture_follows_the_same_triangles() -> None:
    depth = np.zeros(16, dtype=int)
    depth[5] = 2
    quads, points = grid(4)
    flat = two_levels(quads, len(points), smooth=False)
    mesh = subdivide_where(flat, flat, depth, points)
    vertex, texture = mesh.matrix @ points, mesh.uv_matrix @ points
    np.testing.assert_allclose(vertex[mesh.faces], texture[mesh.uv_faces], atol=1e-12)


def test_triangles_keep_the_orientation_and_the_area() -> None:
    depth = np.zeros(16, dtype=int)
    depth[[5, 6]] = [2, 1]
    quads, points = grid(4)
    flat = two_levels(quads, len(points), smooth=False)
    mesh = subdivide_where(flat, flat, depth, points)
    corners = (mesh.matrix @ points)[mesh.faces]
    area = 0.5 * np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2]
    assert (area > 0).all()
    assert area.sum() == pytest.approx(16.0)
    assert np.bincount(mesh.quad, minlength=16).tolist()[5] >= 32
