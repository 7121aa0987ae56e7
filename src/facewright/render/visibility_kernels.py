"""Numba kernel of ``vertex_visibility``, one image a call (plain torch is slower than the rasteriser)."""
# ruff: noqa: ANN001, ANN201, ANN202  numba infers the types of a kernel

import math
from typing import no_type_check

import numpy as np

from facewright.core.kernels import kernel


@kernel(error_model="numpy")
@no_type_check
def mark_seen(points, faces, triangle, depth, perspective, bias, steepest, seen):
    """Write which vertices are seen; the tests are those of ``plain_vertex_visibility``, in its order."""
    height, width = triangle.shape
    area = _facing_area(points, faces, perspective)
    for i in range(points.shape[0]):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        seen[i] = False
        if not (x >= 0 and x < width and y >= 0 and y < height) or (perspective and not z > 0):
            continue
        if not area[i] > 0:
            continue
        row, column = int(y), int(x)
        front = triangle[row, column]
        if front < 0:
            seen[i] = True
            continue
        j, k, m = faces[front, 0], faces[front, 1], faces[front, 2]
        if i in (j, k, m):
            seen[i] = True
            continue
        at_pixel = np.float64(depth[row, column])
        ahead = _continued_depth(points, j, k, m, x, y, perspective) - at_pixel
        if math.isnan(ahead):
            ahead = 0.0
        seen[i] = z <= at_pixel + min(max(ahead, 0.0), steepest * bias) + bias


@kernel(error_model="numpy")
@no_type_check
def _facing_area(points, faces, perspective):
    area = np.zeros(points.shape[0])
    for face in range(faces.shape[0]):
        i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
        if perspective and not (points[i, 2] > 0 and points[j, 2] > 0 and points[k, 2] > 0):
            continue
        across, down = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1]
        signed = down * (points[k, 0] - points[i, 0]) - across * (points[k, 1] - points[i, 1])
        if math.isfinite(signed):
            area[i] += signed
            area[j] += signed
            area[k] += signed
    return area


@kernel(error_model="numpy")
@no_type_check
def _continued_depth(points, i, j, k, x, y, perspective):
    ax, ay = points[i, 0] - x, points[i, 1] - y
    bx, by = points[j, 0] - x, points[j, 1] - y
    cx, cy = points[k, 0] - x, points[k, 1] - y
    first, second, third = bx * cy - by * cx, cx * ay - cy * ax, ax * by - ay * bx
    total = first + second + third
    first, second, third = first / total, second / total, third / total
    if perspective:
        return 1.0 / (first / points[i, 2] + second / points[j, 2] + third / points[k, 2])
    return first * points[i, 2] + second * points[j, 2] + third * points[k, 2]
