"""Numba kernels of ``closest_points``."""
# ruff: noqa: ANN001, ANN201, ANN202  numba infers the types of a kernel

from typing import no_type_check

from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def search_fans(queries, vertices, faces, fan_start, fan, rows, near, best, triangle, weights):
    """Try the triangles around each query's listed vertices."""
    for q in range(len(queries)):
        for slot in range(rows[q], rows[q + 1]):
            vertex = near[slot]
            for entry in range(fan_start[vertex], fan_start[vertex + 1]):
                _try_triangle(queries, vertices, faces, q, fan[entry], best, triangle, weights)


@njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def search_triangles(queries, vertices, faces, rows, listed, best, triangle, weights):
    """Try each query's listed triangles."""
    for q in range(len(queries)):
        for slot in range(rows[q], rows[q + 1]):
            _try_triangle(queries, vertices, faces, q, listed[slot], best, triangle, weights)


@njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def _try_triangle(queries, vertices, faces, q, face, best, triangle, weights):
    """Keep the closest point of one triangle if it beats the best (squared distance) so far.

    **Source:** Ericson, Real-Time Collision Detection (2004), section 5.1.5.
    """
    ia, ib, ic = faces[face, 0], faces[face, 1], faces[face, 2]
    d1 = d2 = d3 = d4 = d5 = d6 = 0.0
    for k in range(3):
        a, b, c, p = vertices[ia, k], vertices[ib, k], vertices[ic, k], queries[q, k]
        d1 += (b - a) * (p - a)
        d2 += (c - a) * (p - a)
        d3 += (b - a) * (p - b)
        d4 += (c - a) * (p - b)
        d5 += (b - a) * (p - c)
        d6 += (c - a) * (p - c)
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    if d1 <= 0 and d2 <= 0:
        v, w = 0.0, 0.0
    elif d3 >= 0 and d4 <= d3:
        v, w = 1.0, 0.0
    elif d6 >= 0 and d5 <= d6:
        v, w = 0.0, 1.0
    elif vc <= 0 and d1 >= 0 and d3 <= 0:
        v, w = (d1 / (d1 - d3) if d1 != d3 else 0.0), 0.0
    elif vb <= 0 and d2 >= 0 and d6 <= 0:
        v, w = 0.0, (d2 / (d2 - d6) if d2 != d6 else 0.0)
    elif va <= 0 and d4 >= d3 and d5 >= d6:
        w = (d4 - d3) / ((d4 - d3) + (d5 - d6)) if (d4 - d3) + (d5 - d6) != 0 else 0.0
        v = 1.0 - w
    else:
        total = va + vb + vc
        v, w = (vb / total, vc / total) if total > 0 else (0.0, 0.0)
    squared = 0.0
    for k in range(3):
        point = (1.0 - v - w) * vertices[ia, k] + v * vertices[ib, k] + w * vertices[ic, k]
        squared += (queries[q, k] - point) ** 2
    if squared < best[q]:
        best[q] = squared
        triangle[q] = face
        weights[q, 0], weights[q, 1], weights[q, 2] = 1.0 - v - w, v, w
