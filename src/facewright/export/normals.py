"""Vertex normals of a head and how each morph target turns them."""

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy import ndarray

from facewright.core.errors import InputError

MOVED_MM = 1e-3  # displacements below a micrometre are rounding


def area_normals(
    vertices: Float[ndarray, "V 3"], faces: Int64[ndarray, "F 3"]
) -> tuple[Float[ndarray, "F 3"], Float[ndarray, "V 3"]]:
    """Normals of faces (length: twice the area) and their sums at the vertices."""
    face_normals = _face_normals(vertices, faces)
    return face_normals, _scatter(face_normals, faces, len(vertices))


def morph_normals(
    vertices: Float[ndarray, "V 3"], deltas: Float[ndarray, "E V 3"], faces: Int64[ndarray, "F 3"]
) -> tuple[Float[ndarray, "V 3"], Float[ndarray, "E V 3"]]:
    """Unit vertex normals of a mesh and their change under each morph target at weight 1.

    Only the faces that a target moves are looked at again.

    Raises:
        InputError: no triangle at all.
    """
    if len(faces) == 0:
        raise InputError("a head needs at least one triangle, got none.")
    face_normals, sums = area_normals(vertices, faces)
    base = _unit(sums)
    changes = np.zeros_like(deltas)
    for index, moved in enumerate(longer_than(deltas, MOVED_MM)):
        a, b, c = faces.T
        touched = np.flatnonzero(moved[a] | moved[b] | moved[c])
        if len(touched) == 0:
            continue
        turned = _face_normals(vertices + deltas[index], faces[touched]) - face_normals[touched]
        near = np.zeros(len(vertices), dtype=bool)
        near[faces[touched]] = True
        total = sums + _scatter(turned, faces[touched], len(vertices))
        changes[index, near] = _unit(total[near]) - base[near]
    return base, changes


def longer_than(vectors: Float[ndarray, "*N 3"], length: float) -> Bool[ndarray, "*N"]:
    """True where a vector is longer; einsum because reductions over an axis of three are slow in numpy."""
    return np.einsum("...k,...k->...", vectors, vectors) > length * length


def _face_normals(vertices: ndarray, faces: ndarray) -> ndarray:
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    return np.cross(b - a, c - a)


def _scatter(face_normals: ndarray, faces: ndarray, vertex_count: int) -> ndarray:
    corners = faces.T.ravel()
    columns = [
        np.bincount(corners, np.tile(face_normals[:, axis], 3), minlength=vertex_count) for axis in range(3)
    ]
    return np.stack(columns, axis=1).astype(face_normals.dtype)


def _unit(vectors: ndarray) -> ndarray:
    """Unit vectors; a vertex without area points out of the face."""
    length = np.sqrt(np.einsum("...k,...k->...", vectors, vectors))[..., None]
    forward = np.array([0.0, 0.0, 1.0], dtype=vectors.dtype)
    return np.where(length > 1e-12, vectors / np.maximum(length, 1e-12), forward)
