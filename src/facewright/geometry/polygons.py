"""Triangles of polygons and strips with any number of corners."""

import numpy as np
from jaxtyping import Int64, Num
from numpy import ndarray


def triangles_of_polygons(
    corners: Num[ndarray, " N"],
    starts: Int64[ndarray, " P"],
    sizes: Int64[ndarray, " P"],
    *,
    strips: bool = False,
) -> Num[ndarray, "F 3"]:
    """Fans, or the triangles of strips, in the order of the polygons.

    Args:
        corners: rows of the vertices of all polygons, with whatever lies between them.
        starts: where in ``corners`` each polygon begins.
        sizes: corners of each polygon, three or more.
        strips: the polygons are triangle strips, of which every other triangle is turned.
    """
    order = np.argsort(sizes, kind="stable")
    distinct, first = np.unique(sizes[order], return_index=True)
    parts = [np.zeros((0, 3), dtype=corners.dtype)]
    for size, alike in zip(distinct.tolist(), np.split(order, first[1:]), strict=False):
        polygons = corners[starts[alike, None] + np.arange(size)]
        parts.append(polygons[:, _pattern(size, strips)].reshape(-1, 3))
    triangles = np.concatenate(parts)
    if len(distinct) <= 1:
        return triangles
    polygon = np.repeat(order, sizes[order] - 2)
    return triangles[np.argsort(polygon, kind="stable")]


def _pattern(size: int, strips: bool) -> ndarray:
    """Corners of each triangle within its polygon."""
    second = np.arange(1, size - 1)
    if not strips:
        return np.stack([np.zeros_like(second), second, second + 1], axis=1)
    pattern = np.stack([second - 1, second, second + 1], axis=1)
    pattern[1::2] = pattern[1::2, ::-1]
    return pattern
