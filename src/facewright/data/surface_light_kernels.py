"""Numba kernel of ``surface_light``, one picture a call (in plain torch it is a third of a sample)."""
# ruff: noqa: ANN001, ANN201, ANN202  numba infers the types of a kernel

import math
from typing import no_type_check

import numpy as np

from facewright.core.kernels import kernel


@kernel(error_model="numpy")
@no_type_check
def light_surface(triangle, barycentric, attributes, position, intensity, polynomial, faces, strands, out):
    """Write diffuse light, highlights and normals; the steps are those of ``plain_surface_light``."""
    height, width = triangle.shape
    channels = attributes.shape[1]
    value = np.zeros(13, np.float32)
    lit = intensity[0] > 0 or intensity[1] > 0 or intensity[2] > 0
    for row in range(height):
        for column in range(width):
            target = out[row, column]
            face = triangle[row, column]
            if face < 0:
                target[:] = 0.0
                continue
            i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
            a, b, c = barycentric[row, column, 0], barycentric[row, column, 1], barycentric[row, column, 2]
            for n in range(channels):
                value[n] = a * attributes[i, n] + b * attributes[j, n] + c * attributes[k, n]
            x, y, z = value[0], value[1], value[2]
            px, py, pz = value[3], value[4], value[5]
            scale = _inverse_length(x, y, z)
            if x * px + y * py + z * pz > 0:
                scale = -scale
            x, y, z = x * scale, y * scale, z * scale
            strand = np.float32(1)
            if channels > 11 and value[11] >= 0:
                strand = _looked_up(strands, value[11], value[12])
            gloss = value[9] * min(strand, np.float32(2))
            cosine, lobe = np.float32(0), np.float32(0)
            if lit:
                cosine, lobe = _of_lamp(x, y, z, px, py, pz, position, value[10])
            for n in range(3):
                light = (
                    polynomial[0, n]
                    + y * (polynomial[1, n] + x * polynomial[4, n] + z * polynomial[5, n])
                    + z * (polynomial[2, n] + z * polynomial[6, n] + x * polynomial[7, n])
                    + x * polynomial[3, n]
                    + (x * x - y * y) * polynomial[8, n]
                )
                albedo = value[6 + n] * strand
                target[n] = albedo * (max(light, np.float32(0)) + cosine * intensity[n])
                target[3 + n] = gloss * lobe * intensity[n]
            target[6], target[7], target[8] = x, y, z


@kernel(error_model="numpy")
@no_type_check
def _of_lamp(x, y, z, px, py, pz, position, power):
    """Cosine of Lambert and lobe of Blinn and Phong."""
    lx, ly, lz = position[0] - px, position[1] - py, position[2] - pz
    scale = _inverse_length(lx, ly, lz)
    lx, ly, lz = lx * scale, ly * scale, lz * scale
    cosine = x * lx + y * ly + z * lz
    if not cosine > 0:
        return np.float32(0), np.float32(0)
    scale = _inverse_length(px, py, pz)
    hx, hy, hz = lx - px * scale, ly - py * scale, lz - pz * scale
    along = (x * hx + y * hy + z * hz) * _inverse_length(hx, hy, hz)
    return cosine, max(along, np.float32(1e-6)) ** power


@kernel(error_model="numpy")
@no_type_check
def _inverse_length(x, y, z):
    return np.float32(1) / np.float32(math.sqrt(max(x * x + y * y + z * z, np.float32(1e-12))))


@kernel()
@no_type_check
def _share(value):
    """From 0 to 1; 0 for what is not a number, which would index anything."""
    value = value if value > 0 else np.float32(0)
    return value if value < 1 else np.float32(1)


@kernel()
@no_type_check
def _looked_up(strands, across, along):
    """Bilinear, the first row of strands at the top (along = 1)."""
    rows, columns = strands.shape
    one = np.float32(1)
    x = _share(across) * np.float32(columns - 1)
    y = (one - _share(along)) * np.float32(rows - 1)
    left, top = int(x), int(y)
    right, below = min(left + 1, columns - 1), min(top + 1, rows - 1)
    u, v = x - np.float32(left), y - np.float32(top)
    upper = (one - u) * strands[top, left] + u * strands[top, right]
    lower = (one - u) * strands[below, left] + u * strands[below, right]
    return (one - v) * upper + v * lower
