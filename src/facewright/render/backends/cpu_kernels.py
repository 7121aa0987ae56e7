"""Numba kernels of the CPU backend, one image (or band of rows) a call.

No ``parallel=True`` (it kills forked workers). No fast-math: the edge functions of a shared edge must be
exact opposites, which they are as long as the compiler neither reorders nor fuses.
"""
# ruff: noqa: ANN001, ANN201, ANN202  numba infers the types of a kernel

import math
from typing import no_type_check

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def rasterize_band(pixels, faces, first_row, perspective, cull, nearest, triangle, barycentric, depth):
    """Nearest triangle, weights and depth of a band of rows; the rules are in ``reference``."""
    rows, width = triangle.shape
    x_limit, y_first, y_limit = width - 1.0, float(first_row), first_row + rows - 1.0
    for face in range(faces.shape[0]):
        i0, i1, i2 = faces[face, 0], faces[face, 1], faces[face, 2]
        y0, y1, y2 = np.float64(pixels[i0, 1]), np.float64(pixels[i1, 1]), np.float64(pixels[i2, 1])
        # Pixel centres at +0.5; min/max of a NaN is caught by the area test below.
        y_low = max(math.ceil(min(y0, y1, y2) - 0.5), y_first)
        y_high = min(math.floor(max(y0, y1, y2) - 0.5), y_limit)
        if not y_low <= y_high:
            continue
        x0, x1, x2 = np.float64(pixels[i0, 0]), np.float64(pixels[i1, 0]), np.float64(pixels[i2, 0])
        x_low = max(math.ceil(min(x0, x1, x2) - 0.5), 0.0)
        x_high = min(math.floor(max(x0, x1, x2) - 0.5), x_limit)
        if not x_low <= x_high:
            continue
        area = (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0)
        if not 0.0 < abs(area) < np.inf or (cull and area > 0.0):
            continue
        q0, q1, q2 = np.float64(pixels[i0, 2]), np.float64(pixels[i1, 2]), np.float64(pixels[i2, 2])
        if not abs(q0) + abs(q1) + abs(q2) < np.inf:
            continue
        if perspective:
            if not (q0 > 0.0 and q1 > 0.0 and q2 > 0.0):
                continue
            q0, q1, q2 = 1.0 / q0, 1.0 / q1, 1.0 / q2
        else:
            q0, q1, q2 = -q0, -q1, -q2
        sign = 1.0 if area > 0.0 else -1.0
        inverse = 1.0 / abs(area)
        k0, k1, k2 = q0 * inverse, q1 * inverse, q2 * inverse
        keep0 = _owns_edge(sign * (x2 - x1), sign * (y2 - y1))
        keep1 = _owns_edge(sign * (x0 - x2), sign * (y0 - y2))
        keep2 = _owns_edge(sign * (x1 - x0), sign * (y1 - y0))
        for y in range(int(y_low), int(y_high) + 1):
            ay, by, cy = y0 - (y + 0.5), y1 - (y + 0.5), y2 - (y + 0.5)
            for x in range(int(x_low), int(x_high) + 1):
                ax, bx, cx = x0 - (x + 0.5), x1 - (x + 0.5), x2 - (x + 0.5)
                e0 = sign * (bx * cy - by * cx)
                e1 = sign * (cx * ay - cy * ax)
                e2 = sign * (ax * by - ay * bx)
                if e0 < 0.0 or e1 < 0.0 or e2 < 0.0:
                    continue
                if (e0 == 0.0 and not keep0) or (e1 == 0.0 and not keep1) or (e2 == 0.0 and not keep2):
                    continue
                nearness = e0 * k0 + e1 * k1 + e2 * k2
                if nearness > nearest[y - first_row, x]:
                    nearest[y - first_row, x] = nearness
                    triangle[y - first_row, x] = face
    for row in range(rows):
        for x in range(width):
            face = triangle[row, x]
            if face < 0:
                depth[row, x] = 0.0
                barycentric[row, x, 0] = 0.0
                barycentric[row, x, 1] = 0.0
                barycentric[row, x, 2] = 0.0
                continue
            u0, u1, u2, edge_sum, z0, z1, z2 = _weights(pixels, faces, face, x, row + first_row, perspective)
            unit = 1.0 / (u0 + u1 + u2)
            b0, b1, b2 = u0 * unit, u1 * unit, u2 * unit
            barycentric[row, x, 0] = b0
            barycentric[row, x, 1] = b1
            barycentric[row, x, 2] = b2
            if perspective:
                depth[row, x] = edge_sum * z0 * z1 * z2 * unit
            else:
                depth[row, x] = b0 * z0 + b1 * z1 + b2 * z2


@njit(nogil=True, cache=True)
@no_type_check
def _owns_edge(dx, dy):
    # Any rule that is true for exactly one of the two directions gives a shared edge to exactly one side.
    return dy > 0.0 or (dy == 0.0 and dx > 0.0)


@njit(nogil=True, cache=True, error_model="numpy")
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


@njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def rasterize_backward(pixels, faces, triangle, perspective, grad_barycentric, grad_depth, total):
    """Closed form: b = u / sum(u), u_i = e_i / z_i (e_i if orthographic), e the edge functions."""
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
            u0, u1, u2, edge_sum, z0, z1, z2 = _weights(pixels, faces, face, x, y, perspective)
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
            px, py = x + 0.5, y + 0.5
            ax, ay = pixels[i0, 0] - px, pixels[i0, 1] - py
            bx, by = pixels[i1, 0] - px, pixels[i1, 1] - py
            cx, cy = pixels[i2, 0] - px, pixels[i2, 1] - py
            total[i0, 0] += h2 * by - h1 * cy
            total[i0, 1] += h1 * cx - h2 * bx
            total[i1, 0] += h0 * cy - h2 * ay
            total[i1, 1] += h2 * ax - h0 * cx
            total[i2, 0] += h1 * ay - h0 * by
            total[i2, 1] += h0 * bx - h1 * ax


@njit(nogil=True, cache=True)
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


@njit(nogil=True, cache=True)
@no_type_check
def interpolate_backward(
    attributes, corners, triangle, barycentric, grad, to_attributes, to_weights, total, grad_barycentric
):
    """Add one image's gradient up at the corners, in pixel order; only what is wanted is computed."""
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
