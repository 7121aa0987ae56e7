"""Numba kernels of ``vertex_normals``, one mesh a call; imported on first use, compiled once a machine."""
# ruff: noqa: ANN001, ANN201, ANN202  numba infers the types of a kernel

import math
from typing import no_type_check

import numpy as np

from facewright.core.kernels import kernel


@kernel(error_model="numpy")
@no_type_check
def accumulate(vertices, faces, normals, lengths):
    """Sum the triangles' cross products at their corners, then normalise."""
    normals[:] = 0.0
    for face in range(faces.shape[0]):
        i0, i1, i2 = faces[face, 0], faces[face, 1], faces[face, 2]
        ax, ay, az = _edge(vertices, i0, i1)
        bx, by, bz = _edge(vertices, i0, i2)
        nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        for corner in (i0, i1, i2):
            normals[corner, 0] += nx
            normals[corner, 1] += ny
            normals[corner, 2] += nz
    for i in range(vertices.shape[0]):
        x, y, z = np.float64(normals[i, 0]), np.float64(normals[i, 1]), np.float64(normals[i, 2])
        length = math.sqrt(x * x + y * y + z * z)
        lengths[i] = length
        if length > 0.0:
            normals[i, 0] = x / length
            normals[i, 1] = y / length
            normals[i, 2] = z / length


@kernel(error_model="numpy")
@no_type_check
def accumulate_backward(vertices, faces, normals, lengths, grad, out):
    """Closed form: through n = s / |s|, then through each cross product."""
    through = np.zeros_like(normals)
    for i in range(vertices.shape[0]):
        if lengths[i] > 0.0:
            along = normals[i, 0] * grad[i, 0] + normals[i, 1] * grad[i, 1] + normals[i, 2] * grad[i, 2]
            for k in range(3):
                through[i, k] = (grad[i, k] - along * normals[i, k]) / lengths[i]
    for face in range(faces.shape[0]):
        i0, i1, i2 = faces[face, 0], faces[face, 1], faces[face, 2]
        gx = through[i0, 0] + through[i1, 0] + through[i2, 0]
        gy = through[i0, 1] + through[i1, 1] + through[i2, 1]
        gz = through[i0, 2] + through[i1, 2] + through[i2, 2]
        ax, ay, az = _edge(vertices, i0, i1)
        bx, by, bz = _edge(vertices, i0, i2)
        # n = a x b: grad a = b x g, grad b = g x a.
        dax, day, daz = by * gz - bz * gy, bz * gx - bx * gz, bx * gy - by * gx
        dbx, dby, dbz = gy * az - gz * ay, gz * ax - gx * az, gx * ay - gy * ax
        out[i1, 0] += dax
        out[i1, 1] += day
        out[i1, 2] += daz
        out[i2, 0] += dbx
        out[i2, 1] += dby
        out[i2, 2] += dbz
        out[i0, 0] -= dax + dbx
        out[i0, 1] -= day + dby
        out[i0, 2] -= daz + dbz


@kernel()
@no_type_check
def _edge(vertices, start, end):
    return (
        vertices[end, 0] - vertices[start, 0],
        vertices[end, 1] - vertices[start, 1],
        vertices[end, 2] - vertices[start, 2],
    )
