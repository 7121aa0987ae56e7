"""Vertices as graphics cards take them: one texture coordinate each, so cut apart along the seams."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy import ndarray


@dataclass(frozen=True)
class Primitive:
    """The triangles of one part over vertices that are split at texture seams.

    Attributes:
        source: the mesh vertex behind each split vertex.
        uv: its texture coordinate, v up.
        triangles: indices into the split vertices, counter-clockwise seen from outside.
    """

    source: Int64[ndarray, " S"]
    uv: Float[ndarray, "S 2"]
    triangles: Int64[ndarray, "F 3"]


def split_at_seams(
    faces: Int64[ndarray, "F 3"], uv: Float[ndarray, "T 2"], uv_faces: Int64[ndarray, "F 3"]
) -> Primitive:
    """Make one vertex of every pair of position and texture coordinate that some corner uses."""
    pairs, triangles = np.unique(faces * len(uv) + uv_faces, return_inverse=True)
    return Primitive(pairs // len(uv), uv[pairs % len(uv)], triangles.reshape(-1, 3).astype(np.int64))


def faces_by_part(
    faces: Int64[ndarray, "F 3"], parts: Mapping[str, Bool[ndarray, " V"]]
) -> dict[str, Int64[ndarray, " N"]]:
    """Indices of the faces of each part; what no part claims is counted to "skin"."""
    owner = np.full(len(faces), -1)
    for index, mask in enumerate(parts.values()):
        owner[mask[faces].all(axis=1)] = index
    names = list(parts)
    if "skin" in names:
        owner[owner < 0] = names.index("skin")
    members = {name: np.flatnonzero(owner == index) for index, name in enumerate(names)}
    if "skin" not in names and bool((owner < 0).any()):
        members["skin"] = np.flatnonzero(owner < 0)
    return {name: chosen for name, chosen in members.items() if len(chosen)}
