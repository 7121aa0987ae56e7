"""Numba kernels of ``closest_points``."""
# ruff: noqa: ANN001, ANN201, ANN202  numba infers the types of a kernel

from typing import no_type_check

import numpy as np

from facewright.core.kernels import kernel


@kernel(error_model="numpy")
@no_type_check
def bound_boxes(corners, boxes):
    """Boxes of the pieces of a row of triangles: box 0 holds all, and each inner one is halved."""
    count, leaves = len(corners), (len(boxes) + 1) // 2
    for leaf in range(leaves):
        box = boxes[leaves - 1 + leaf]
        box[0], box[1] = np.inf, -np.inf
        # The same piece as halving all the way down would give.
        for n in range(leaf * count // leaves, (leaf + 1) * count // leaves):
            for corner in range(3):
                for k in range(3):
                    box[0, k] = min(box[0, k], corners[n, corner, k])
                    box[1, k] = max(box[1, k], corners[n, corner, k])
    for number in range(leaves - 2, -1, -1):
        for k in range(3):
            boxes[number, 0, k] = min(boxes[2 * number + 1, 0, k], boxes[2 * number + 2, 0, k])
            boxes[number, 1, k] = max(boxes[2 * number + 1, 1, k], boxes[2 * number + 2, 1, k])


@kernel(error_model="numpy")
@no_type_check
def search_boxes(queries, corners, boxes, piece, squared, place, weights):
    """Closest points for a piece of the queries; ``squared``: infinite at first."""
    count, leaves = len(corners), (len(boxes) + 1) // 2
    waiting, gap = np.empty(64, np.int64), np.empty(64)
    for q in range(piece[0], piece[1]):
        waiting[0], gap[0] = 0, 0.0
        height = 1
        while height > 0:
            height -= 1
            number = waiting[height]
            if gap[height] >= squared[q]:
                continue
            # Down to the smallest box, always the nearer half first.
            while number < leaves - 1:
                number = 2 * number + 1
                near, far = _gap(boxes, number, queries, q), _gap(boxes, number + 1, queries, q)
                other = number + 1
                if far < near:
                    number, other, near, far = other, number, far, near
                if far < squared[q]:
                    waiting[height], gap[height] = other, far
                    height += 1
                if near >= squared[q]:
                    break
            if number >= leaves - 1:
                leaf = number - (leaves - 1)
                for n in range(leaf * count // leaves, (leaf + 1) * count // leaves):
                    _try_triangle(queries, corners, q, n, squared, place, weights)


@kernel(error_model="numpy", inline="always")
@no_type_check
def _gap(boxes, number, queries, q):
    """Squared distance of a query to a box."""
    total = 0.0
    for k in range(3):
        off = max(boxes[number, 0, k] - queries[q, k], queries[q, k] - boxes[number, 1, k])
        if off > 0:
            total += off * off
    return total


@kernel(error_model="numpy")
@no_type_check
def _try_triangle(queries, corners, q, n, best, place, weights):
    """Keep the closest point of one triangle if it beats the best (squared distance) so far.

    **Source:** Ericson, Real-Time Collision Detection (2004), section 5.1.5.
    """
    d1 = d2 = d3 = d4 = d5 = d6 = 0.0
    for k in range(3):
        a, b, c, p = corners[n, 0, k], corners[n, 1, k], corners[n, 2, k], queries[q, k]
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
        point = (1.0 - v - w) * corners[n, 0, k] + v * corners[n, 1, k] + w * corners[n, 2, k]
        squared += (queries[q, k] - point) ** 2
    if squared < best[q]:
        best[q] = squared
        place[q] = n
        weights[q, 0], weights[q, 1], weights[q, 2] = 1.0 - v - w, v, w
