"""Numba kernels of ``shade_diffuse``, a run of pixels a call (in plain torch it is most of a step).

Pixels are taken in blocks whose coordinates lie one after the other, so that the compiler works on several
at once. The light is given by its polynomial: rows 1, y, z, x, xy, yz, zz, xz, xx - yy (``shading.FOLD``).
"""
# ruff: noqa: ANN001, ANN201, ANN202  numba infers the types of a kernel

from typing import no_type_check

import numpy as np

from facewright.core.kernels import kernel

BLOCK = 128
# Sums may be taken in another order (one that is fixed when compiled), nothing else.
FAST = {"reassoc", "contract", "nsz", "arcp"}


@kernel(error_model="numpy", fastmath=FAST)
@no_type_check
def shade(albedo, normals, light, out):
    """``out = albedo * max(0, shading(unit normal))``."""
    number = albedo.dtype.type
    x, y, z, scale = np.empty((4, BLOCK), albedo.dtype)
    for start in range(0, albedo.shape[0], BLOCK):
        count = min(BLOCK, albedo.shape[0] - start)
        filled = _units(normals, start, count, x, y, z, scale)
        if not filled:
            out[start : start + count] = 0.0
            continue
        for c in range(3):
            l0, l1, l2, l3, l4, l5, l6, l7, l8 = _channel(light, c, number)
            for i in range(count):
                along_x, along_y = l3 + l4 * y[i] + l8 * x[i], l1 + l5 * z[i] - l8 * y[i]
                value = l0 + x[i] * along_x + y[i] * along_y + z[i] * (l2 + l7 * x[i] + l6 * z[i])
                lit = value > 0 and scale[i] > 0
                out[start + i, c] = albedo[start + i, c] * value if lit else number(0)


@kernel(error_model="numpy", fastmath=FAST)
@no_type_check
def shade_backward(albedo, normals, light, grad, grad_albedo, grad_normals, grad_light):
    """Gradients of albedo and normals (written) and of ``light`` (added up block after block)."""
    number = albedo.dtype.type
    x, y, z, scale, dx, dy, dz, through = np.empty((8, BLOCK), albedo.dtype)
    for start in range(0, albedo.shape[0], BLOCK):
        count = min(BLOCK, albedo.shape[0] - start)
        filled = _units(normals, start, count, x, y, z, scale)
        if not filled:
            grad_albedo[start : start + count] = 0.0
            grad_normals[start : start + count] = 0.0
            continue
        dx[:], dy[:], dz[:] = 0.0, 0.0, 0.0
        for c in range(3):
            l0, l1, l2, l3, l4, l5, l6, l7, l8 = _channel(light, c, number)
            for i in range(count):
                along_x, along_y = l3 + l4 * y[i] + l8 * x[i], l1 + l5 * z[i] - l8 * y[i]
                value = l0 + x[i] * along_x + y[i] * along_y + z[i] * (l2 + l7 * x[i] + l6 * z[i])
                lit = value >= 0 and scale[i] > 0
                incoming = grad[start + i, c] if lit else number(0)
                grad_albedo[start + i, c] = incoming * value
                through[i] = incoming * albedo[start + i, c]
            for i in range(count):
                dx[i] += through[i] * (l3 + l4 * y[i] + l7 * z[i] + 2 * l8 * x[i])
                dy[i] += through[i] * (l1 + l4 * x[i] + l5 * z[i] - 2 * l8 * y[i])
                dz[i] += through[i] * (l2 + l5 * y[i] + l7 * x[i] + 2 * l6 * z[i])
            _add_light(through, count, x, y, z, grad_light, c)
        for i in range(count):
            along = dx[i] * x[i] + dy[i] * y[i] + dz[i] * z[i]
            grad_normals[start + i, 0] = (dx[i] - along * x[i]) * scale[i]
            grad_normals[start + i, 1] = (dy[i] - along * y[i]) * scale[i]
            grad_normals[start + i, 2] = (dz[i] - along * z[i]) * scale[i]


@kernel(error_model="numpy", fastmath=FAST, inline="always")
@no_type_check
def _units(normals, start, count, x, y, z, scale):
    """Unit normals of a block and what they were scaled by, 0 where empty; whether there are any."""
    filled = False
    for i in range(count):
        x[i], y[i], z[i] = normals[start + i, 0], normals[start + i, 1], normals[start + i, 2]
        filled |= x[i] != 0 or y[i] != 0 or z[i] != 0
    for i in range(count):
        square = x[i] * x[i] + y[i] * y[i] + z[i] * z[i]
        scale[i] = 1 / np.sqrt(square) if square > 0 else square
        x[i] *= scale[i]
        y[i] *= scale[i]
        z[i] *= scale[i]
    return filled


@kernel(inline="always")
@no_type_check
def _channel(light, c, number):
    a, b, d = number(light[0, c]), number(light[1, c]), number(light[2, c])
    e, f, g = number(light[3, c]), number(light[4, c]), number(light[5, c])
    return a, b, d, e, f, g, number(light[6, c]), number(light[7, c]), number(light[8, c])


@kernel(error_model="numpy", fastmath=FAST, inline="always")
@no_type_check
def _add_light(through, count, x, y, z, grad_light, c):
    """Sums of a block, in the precision of the image; the blocks' sums are added up in float64."""
    zero = through.dtype.type(0)
    s0, s1, s2, s3, s4, s5, s6, s7, s8 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    for i in range(count):
        t, a, b, d = through[i], x[i], y[i], z[i]
        s0 += t
        s1 += t * b
        s2 += t * d
        s3 += t * a
        s4 += t * a * b
        s5 += t * b * d
        s6 += t * d * d
        s7 += t * a * d
        s8 += t * (a * a - b * b)
    grad_light[0, c] += s0
    grad_light[1, c] += s1
    grad_light[2, c] += s2
    grad_light[3, c] += s3
    grad_light[4, c] += s4
    grad_light[5, c] += s5
    grad_light[6, c] += s6
    grad_light[7, c] += s7
    grad_light[8, c] += s8
