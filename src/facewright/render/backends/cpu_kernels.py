"""Numba kernels of the CPU backend, one image (or band of rows) a call.

No ``parallel=True`` (it kills forked workers). No fast-math: the edge functions of a shared edge must be
exact opposites, which they are as long as the compiler neither reorders nor fuses.
"""
# ruff: noqa: ANN001, ANN201, ANN202  numba infers the types of a kernel

import math
from typing import no_type_check

import numpy as np

from facewright.core.kernels import kernel


@kernel(error_model="numpy")
@no_type_check
def rasterize_band(pixels, faces, first_row, height, flags, work, triangle, barycentric, depth):
    """Nearest triangle, weights and depth of a band of rows; the rules are in ``reference``.

    ``flags`` are (perspective, cull); ``work`` is uninitialised space: nearness (rows, W), and the two tables
    (V, 3) float64 and (V, 4) int16 of ``_place``.
    """
    perspective, cull = flags
    nearest, corner, around = work
    rows, width = triangle.shape
    _place(pixels, perspective, float(width), float(height), corner, around)
    nearest[:] = -np.inf
    triangle[:] = -1
    barycentric[:] = 0.0
    depth[:] = 0.0
    for face in range(faces.shape[0]):
        # Unsigned, as a signed index may count from the end, which costs a test each time.
        i0, i1, i2 = np.uint64(faces[face, 0]), np.uint64(faces[face, 1]), np.uint64(faces[face, 2])
        x_low = min(around[i0, 0], around[i1, 0], around[i2, 0])
        x_high = max(around[i0, 1], around[i1, 1], around[i2, 1])
        y_low = max(min(around[i0, 2], around[i1, 2], around[i2, 2]), first_row)
        y_high = min(max(around[i0, 3], around[i1, 3], around[i2, 3]), first_row + rows - 1)
        if (x_low > x_high) | (y_low > y_high):
            continue
        x0, y0, q0 = corner[i0, 0], corner[i0, 1], corner[i0, 2]
        x1, y1, q1 = corner[i1, 0], corner[i1, 1], corner[i1, 2]
        x2, y2, q2 = corner[i2, 0], corner[i2, 1], corner[i2, 2]
        area = (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0)
        size, total = abs(area), q0 + q1 + q2
        if not ((size > 0.0) & (size < np.inf) & (total == total)) or (cull and area > 0.0):
            continue
        # The sign goes to x, where it costs nothing, and flips each edge function exactly.
        sign, inverse = 1.0 if area > 0.0 else -1.0, 1.0 / size
        k0, k1, k2 = q0 * inverse, q1 * inverse, q2 * inverse
        x0, x1, x2 = sign * x0, sign * x1, sign * x2
        least0 = _least(x2 - x1, sign * (y2 - y1))
        least1 = _least(x0 - x2, sign * (y0 - y2))
        least2 = _least(x1 - x0, sign * (y1 - y0))
        for y in range(y_low, y_high + 1):
            ay, by, cy = y0 - (y + 0.5), y1 - (y + 0.5), y2 - (y + 0.5)
            row = np.uint64(y - first_row)
            for x in range(x_low, x_high + 1):
                center, column = sign * (x + 0.5), np.uint64(x)
                ax, bx, cx = x0 - center, x1 - center, x2 - center
                e0 = bx * cy - by * cx
                e1 = cx * ay - cy * ax
                e2 = ax * by - ay * bx
                n0, n1, n2 = e0 * k0, e1 * k1, e2 * k2
                near = n0 + n1 + n2
                # One branch, as the processor guesses it wrong at every outline of a triangle.
                if (e0 >= least0) & (e1 >= least1) & (e2 >= least2) & (near > nearest[row, column]):
                    nearest[row, column] = near
                    triangle[row, column] = face
                    if not perspective:
                        n0, n1, n2 = e0, e1, e2
                    unit = 1.0 / (n0 + n1 + n2)
                    barycentric[row, column, 0] = n0 * unit
                    barycentric[row, column, 1] = n1 * unit
                    barycentric[row, column, 2] = n2 * unit
                    scaled = (e0 + e1 + e2) * inverse if perspective else -near * size
                    depth[row, column] = scaled * unit


@kernel(error_model="numpy")
@no_type_check
def _place(pixels, perspective, width, height, corner, around):
    """What every triangle at a vertex asks of it, in float64.

    ``corner``: (x, y, q), where q grows with nearness and is NaN where no triangle may be drawn.
    ``around``: the first and last column, first and last row whose pixel centres a triangle with this corner
    alone would span; clamped to the image, so that they fit int16. Their minima and maxima over the corners
    are the box of the triangle. (min/max of a NaN is anything: the triangle's area is NaN then.)
    """
    for i in range(pixels.shape[0]):
        x, y, z = np.float64(pixels[i, 0]), np.float64(pixels[i, 1]), np.float64(pixels[i, 2])
        drawn = abs(z) < np.inf and (z > 0.0 or not perspective)
        corner[i, 0], corner[i, 1] = x, y
        corner[i, 2] = (1.0 / z if perspective else -z) if drawn else np.nan
        around[i, 0] = np.int16(min(max(math.ceil(x - 0.5), 0.0), width))
        around[i, 1] = np.int16(max(min(math.floor(x - 0.5), width - 1.0), -1.0))
        around[i, 2] = np.int16(min(max(math.ceil(y - 0.5), 0.0), height))
        around[i, 3] = np.int16(max(min(math.floor(y - 0.5), height - 1.0), -1.0))


@kernel()
@no_type_check
def _least(dx, dy):
    """The least value of an edge function that is inside: 0 if the triangle owns the edge, or just above it.

    Any rule that is true for exactly one of the two directions gives a shared edge to exactly one side.
    """
    return 0.0 if (dy > 0.0) | ((dy == 0.0) & (dx > 0.0)) else 5e-324


@kernel(error_model="numpy")
@no_type_check
def _weights(pixels, faces, face, x, y, perspective):
    """Unnormalised weights, the sum of the edge functions e, and the depths z at a pixel.

    Perspective weights are e_i z_j z_k: e_i / z_i times the product of the depths, which saves the divisions.
    """
    i0, i1, i2 = faces[face, 0], faces[face, 1], faces[face, 2]
    px, py = x + 0.5, y + 0.5
    ax, ay = pixels[i0, 0] - px, pixels[i0, 1] - py
    bx, by = pixels[i1, 0] - px, pixels[i1, 1] - py
    cx, cy = pixels[i2, 0] - px, pixels[i2, 1] - py
    e0 = bx * cy - by * cx
    e1 = cx * ay - cy * ax
    e2 = ax * by - ay * bx
    z0, z1, z2 = np.float64(pixels[i0, 2]), np.float64(pixels[i1, 2]), np.float64(pixels[i2, 2])
    edge_sum = e0 + e1 + e2
    if perspective:
        return e0 * z1 * z2, e1 * z2 * z0, e2 * z0 * z1, edge_sum, z0, z1, z2
    return e0, e1, e2, edge_sum, z0, z1, z2


@kernel(error_model="numpy")
@no_type_check
def rasterize_backward(pixels, faces, first, triangle, perspective, grad_barycentric, grad_depth, total):
    """Of rows from ``first`` on: b = u / sum(u), u_i = e_i / z_i (e_i if orthographic), e edge functions."""
    has_weights, has_depth = grad_barycentric.shape[0] > 0, grad_depth.shape[0] > 0
    height, width = triangle.shape
    for y in range(height):
        for x in range(width):
            face = triangle[y, x]
            if face < 0:
                continue
            g0, g1, g2, gd = 0.0, 0.0, 0.0, 0.0
            if has_weights:
                g0 = np.float64(grad_barycentric[y, x, 0])
                g1 = np.float64(grad_barycentric[y, x, 1])
                g2 = np.float64(grad_barycentric[y, x, 2])
            if has_depth:
                gd = np.float64(grad_depth[y, x])
            if g0 == 0.0 and g1 == 0.0 and g2 == 0.0 and gd == 0.0:
                continue
            u0, u1, u2, edge_sum, z0, z1, z2 = _weights(pixels, faces, face, x, first + y, perspective)
            unit = 1.0 / (u0 + u1 + u2)
            b0, b1, b2 = u0 * unit, u1 * unit, u2 * unit
            mean = b0 * g0 + b1 * g1 + b2 * g2
            h0, h1, h2 = g0 - mean, g1 - mean, g2 - mean
            i0, i1, i2 = faces[face, 0], faces[face, 1], faces[face, 2]
            if perspective:
                product = z0 * z1 * z2
                d = edge_sum * product * unit
                share = 1.0 / product
                m0, m1, m2 = z1 * z2, z2 * z0, z0 * z1
                total[i0, 2] += b0 * m0 * share * (gd * d - h0)
                total[i1, 2] += b1 * m1 * share * (gd * d - h1)
                total[i2, 2] += b2 * m2 * share * (gd * d - h2)
                h0 = (h0 * m0 + gd * (product - d * m0)) * unit
                h1 = (h1 * m1 + gd * (product - d * m1)) * unit
                h2 = (h2 * m2 + gd * (product - d * m2)) * unit
            else:
                d = b0 * z0 + b1 * z1 + b2 * z2
                total[i0, 2] += gd * b0
                total[i1, 2] += gd * b1
                total[i2, 2] += gd * b2
                h0 = (h0 + gd * (z0 - d)) * unit
                h1 = (h1 + gd * (z1 - d)) * unit
                h2 = (h2 + gd * (z2 - d)) * unit
            px, py = x + 0.5, first + y + 0.5
            ax, ay = pixels[i0, 0] - px, pixels[i0, 1] - py
            bx, by = pixels[i1, 0] - px, pixels[i1, 1] - py
            cx, cy = pixels[i2, 0] - px, pixels[i2, 1] - py
            total[i0, 0] += h2 * by - h1 * cy
            total[i0, 1] += h1 * cx - h2 * bx
            total[i1, 0] += h0 * cy - h2 * ay
            total[i1, 1] += h2 * ax - h0 * cx
            total[i2, 0] += h1 * ay - h0 * by
            total[i2, 1] += h0 * bx - h1 * ax


@kernel()
@no_type_check
def interpolate_band(attributes, corners, triangle, barycentric, out):
    """Blend attributes over a band of rows."""
    rows, width, channels = out.shape
    for y in range(rows):
        for x in range(width):
            face = triangle[y, x]
            if face < 0:
                for c in range(channels):
                    out[y, x, c] = 0.0
                continue
            i0, i1, i2 = corners[face, 0], corners[face, 1], corners[face, 2]
            b0, b1, b2 = barycentric[y, x, 0], barycentric[y, x, 1], barycentric[y, x, 2]
            for c in range(channels):
                out[y, x, c] = b0 * attributes[i0, c] + b1 * attributes[i1, c] + b2 * attributes[i2, c]


@kernel()
@no_type_check
def interpolate_backward(
    attributes, corners, triangle, barycentric, grad, to_attributes, to_weights, total, grad_barycentric
):
    """Add the gradient of an image's rows up at the corners, in pixel order; only what is wanted."""
    height, width, channels = grad.shape
    for y in range(height):
        for x in range(width):
            face = triangle[y, x]
            g0, g1, g2 = 0.0, 0.0, 0.0
            if face >= 0:
                i0, i1, i2 = corners[face, 0], corners[face, 1], corners[face, 2]
                b0, b1, b2 = barycentric[y, x, 0], barycentric[y, x, 1], barycentric[y, x, 2]
                for c in range(channels):
                    g = grad[y, x, c]
                    if to_weights:
                        g0 += g * attributes[i0, c]
                        g1 += g * attributes[i1, c]
                        g2 += g * attributes[i2, c]
                    if to_attributes:
                        total[i0, c] += b0 * g
                        total[i1, c] += b1 * g
                        total[i2, c] += b2 * g
            grad_barycentric[y, x, 0] = g0
            grad_barycentric[y, x, 1] = g1
            grad_barycentric[y, x, 2] = g2
