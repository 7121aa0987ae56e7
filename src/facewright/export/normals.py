"""Vertex normals of a head and how each morph target turns them."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray

from facewright.core.errors import InputError
from facewright.geometry.normals import vertex_normals

MOVED_MM = 1e-3  # displacements below a micrometre are rounding


def morph_normals(
    vertices: Float[ndarray, "V 3"], deltas: Float[ndarray, "E V 3"], faces: Int64[ndarray, "F 3"]
) -> tuple[Float[ndarray, "V 3"], Float[ndarray, "E V 3"]]:
    """Unit vertex normals of a mesh and their change under each morph target at weight 1.

    A file wants unit normals everywhere: a vertex without area points out of the face, +Z.

    Raises:
        InputError: no triangle at all, or an index out of range.
    """
    if len(faces) == 0:
        raise InputError("a head needs at least one triangle, got none.")
    shapes = np.concatenate([vertices[None], vertices + deltas])
    # The sums run in the order of the faces, so where a target moves nothing its change is exactly zero.
    normals = vertex_normals(torch.from_numpy(shapes), torch.from_numpy(faces)).numpy()
    normals[~longer_than(normals, 0.0)] = (0.0, 0.0, 1.0)
    return normals[0], normals[1:] - normals[0]


def longer_than(vectors: Float[ndarray, "*N 3"], length: float) -> Bool[ndarray, "*N"]:
    """True where a vector is longer; einsum because reductions over an axis of three are slow in numpy."""
    return np.einsum("...k,...k->...", vectors, vectors) > length * length
