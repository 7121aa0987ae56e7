"""Small surfaces for the tests of registration."""

import numpy as np


def grid(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """A flat patch in the xy plane, one unit between neighbours, triangles counter-clockwise from +z."""
    y, x = np.divmod(np.arange(rows * columns), columns)
    vertices = np.stack([x, y, np.zeros_like(x)], axis=1).astype(np.float64)
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    a, b, c, d = corner, corner + 1, corner + columns + 1, corner + columns
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    return vertices, faces.astype(np.int64)
