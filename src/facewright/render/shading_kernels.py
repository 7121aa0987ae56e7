"""Numba kernels of ``shade_diffuse``, one image a call (in plain torch it is most of a step)."""
# ruff: noqa: ANN001, ANN201, ANN202  numba infers the types of a kernel

import math
from typing import no_type_check

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def shade(albedo, normals, light, out):
    """``out = albedo * max(0, shading(unit normal))``; ``light`` (9, 3): coefficients times SH constants."""
    for i in range(albedo.shape[0]):
        x, y, z, length = _unit(normals, i)
        for c in range(3):
            if length == 0.0:
                out[i, c] = 0.0
                continue
            linear = light[0, c] + light[1, c] * y + light[2, c] * z + light[3, c] * x
            square = light[4, c] * x * y + light[5, c] * y * z + light[6, c] * (3.0 * z * z - 1.0)
            shading = linear + square + light[7, c] * x * z + light[8, c] * (x * x - y * y)
            out[i, c] = albedo[i, c] * max(shading, 0.0)


@njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def shade_backward(albedo, normals, light, grad, grad_albedo, grad_normals, grad_light):
    """Gradients of albedo and normals (written) and of ``light`` (added up in pixel order)."""
    basis = np.empty(9)
    for i in range(albedo.shape[0]):
        x, y, z, length = _unit(normals, i)
        dx, dy, dz = 0.0, 0.0, 0.0
        if length > 0.0:
            basis[0], basis[1], basis[2], basis[3] = 1.0, y, z, x
            basis[4], basis[5], basis[6] = x * y, y * z, 3.0 * z * z - 1.0
            basis[7], basis[8] = x * z, x * x - y * y
        for c in range(3):
            shading = 0.0
            if length > 0.0:
                for k in range(9):
                    shading += light[k, c] * basis[k]
                if shading < 0.0:
                    grad_albedo[i, c] = 0.0
                    continue
                through = np.float64(grad[i, c]) * albedo[i, c]
                for k in range(9):
                    grad_light[k, c] += through * basis[k]
                dx += through * (light[3, c] + light[4, c] * y + light[7, c] * z + 2.0 * light[8, c] * x)
                dy += through * (light[1, c] + light[4, c] * x + light[5, c] * z - 2.0 * light[8, c] * y)
                dz += through * (light[2, c] + light[5, c] * y + 6.0 * light[6, c] * z + light[7, c] * x)
            grad_albedo[i, c] = grad[i, c] * shading
        along = dx * x + dy * y + dz * z
        scale = 1.0 / length if length > 0.0 else 0.0
        grad_normals[i, 0] = (dx - along * x) * scale
        grad_normals[i, 1] = (dy - along * y) * scale
        grad_normals[i, 2] = (dz - along * z) * scale


@njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def _unit(normals, i):
    x, y, z = np.float64(normals[i, 0]), np.float64(normals[i, 1]), np.float64(normals[i, 2])
    length = math.sqrt(x * x + y * y + z * z)
    scale = 1.0 / length if length > 0.0 else 0.0
    return x * scale, y * scale, z * scale, length
