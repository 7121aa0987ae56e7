"""Numba kernel that walks the silhouette edges of one image; the rules are in ``reference``."""
# ruff: noqa: ANN001, ANN201, ANN202  numba infers the types of a kernel

import math
from typing import no_type_check

import numpy as np

from facewright.core.kernels import kernel


@kernel(error_model="numpy")
@no_type_check
def find_crossings(
    image, pixels, faces, ends, sides, triangle, depth, perspective, cull, facing, slot, reach_of, rows
):
    """Write rows of (image, edge, inner x, inner y, step x, step y), one a pair of pixels; return the count.

    ``facing`` (F,) zeros, ``slot`` (2, H, W) of -1 and ``reach_of`` (N,) are work space. Rows beyond the N
    that ``rows`` can hold are counted, not written. (Arrays made outside compile faster.)
    """
    height, width = triangle.shape
    for face in range(faces.shape[0]):
        i0, i1, i2 = faces[face, 0], faces[face, 1], faces[face, 2]
        if perspective and not (pixels[i0, 2] > 0.0 and pixels[i1, 2] > 0.0 and pixels[i2, 2] > 0.0):
            continue
        area = _cross(pixels, i0, i1, i2)
        if 0.0 < abs(area) < np.inf:
            facing[face] = 1 if area > 0.0 else -1
    count = 0
    for edge in range(ends.shape[0]):
        owner = _silhouette_owner(sides[edge, 0], sides[edge, 1], facing, cull)
        if owner < 0:
            continue
        a, b = ends[edge, 0], ends[edge, 1]
        third = faces[owner, 0] + faces[owner, 1] + faces[owner, 2] - a - b
        dx = np.float64(pixels[b, 0]) - pixels[a, 0]
        dy = np.float64(pixels[b, 1]) - pixels[a, 1]
        # Along "u" the pixel pairs lie, along "v" the edge runs: each edge is seen by one kind of pair only.
        steep = abs(dy) >= abs(dx)
        u, v = (0, 1) if steep else (1, 0)
        span = dy if steep else dx
        u_size, v_size = (width, height) if steep else (height, width)
        turn = _cross(pixels, a, b, third) * span
        step = 1 if (turn > 0.0) == steep else -1  # towards the outside
        low = min(pixels[a, v], pixels[b, v])
        high = max(pixels[a, v], pixels[b, v])
        if not (high > 0.0 and low < v_size):
            continue
        for line in range(max(math.ceil(low - 0.5), 0), min(math.ceil(high - 0.5), v_size)):
            portion = (line + 0.5 - np.float64(pixels[a, v])) / span
            position = pixels[a, u] + portion * (np.float64(pixels[b, u]) - pixels[a, u])
            if not (0.5 <= position < u_size - 0.5):
                continue
            first = math.floor(position - 0.5)
            inner = first if step > 0 else first + 1
            outer = inner + step
            x_in, y_in = (inner, line) if steep else (line, inner)
            x_out, y_out = (outer, line) if steep else (line, outer)
            seen, beyond = triangle[y_in, x_in], triangle[y_out, x_out]
            if seen < 0 or seen == beyond:
                continue
            z = pixels[a, 2] + portion * (np.float64(pixels[b, 2]) - pixels[a, 2])
            if beyond >= 0:
                z_in, z_out = np.float64(depth[y_in, x_in]), np.float64(depth[y_out, x_out])
                if z >= z_out or abs(z_in - z) > abs(z_out - z):
                    continue
            reach = (position - inner - 0.5) * step
            kind = 0 if steep else 1
            row = slot[kind, min(y_in, y_out), min(x_in, x_out)]
            if row >= 0 and reach_of[row] >= reach:
                continue
            if row < 0:
                row = count
                count += 1
                if row >= rows.shape[0]:
                    continue
                slot[kind, min(y_in, y_out), min(x_in, x_out)] = row
            reach_of[row] = reach
            rows[row, 0], rows[row, 1] = image, edge
            rows[row, 2], rows[row, 3] = x_in, y_in
            rows[row, 4], rows[row, 5] = x_out - x_in, y_out - y_in
    return count


@kernel()
@no_type_check
def _cross(pixels, a, b, c):
    ax, ay = np.float64(pixels[a, 0]), np.float64(pixels[a, 1])
    return (pixels[b, 0] - ax) * (pixels[c, 1] - ay) - (pixels[b, 1] - ay) * (pixels[c, 0] - ax)


@kernel()
@no_type_check
def _silhouette_owner(first, second, facing, cull):
    """The drawn face whose outline the edge is; -1 if it is no outline, or not drawn."""
    front = facing[first]
    if second < 0:
        return first if front < 0 or (front > 0 and not cull) else -1
    back = facing[second]
    if front * back >= 0:
        return -1
    return first if front < 0 else second
