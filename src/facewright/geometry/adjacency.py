"""Which triangles meet at which edge; made once a topology."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int64
from numpy import ndarray
from torch import Tensor


@dataclass(frozen=True)
class EdgeTable:
    """The undirected edges of a triangulation.

    Attributes:
        vertices: the two ends of each edge, lower index first, sorted.
        faces: the triangles on its two sides; the second is -1 at a border. An edge with three or more
            triangles has one row for each of them, as if each were a border.
    """

    vertices: Int64[Tensor, "E 2"]
    faces: Int64[Tensor, "E 2"]

    def to(self, device: torch.device | str) -> "EdgeTable":
        """Return the same table on another device."""
        return EdgeTable(self.vertices.to(device), self.faces.to(device))


def edge_table(faces: Int64[Tensor, "F 3"]) -> EdgeTable:
    """List the edges of a mesh with the triangles beside them, in a fixed order."""
    directed = torch.stack([faces, faces.roll(-1, 1)], dim=2).flatten(0, 1)
    ends = directed.sort(dim=1).values
    owner = torch.arange(faces.shape[0], device=faces.device).repeat_interleave(3)
    count = int(faces.max()) + 1 if faces.numel() else 1
    key, order = (ends[:, 0] * count + ends[:, 1]).sort(stable=True)
    ends, owner = ends[order], owner[order]
    _, inverse, multiplicity = torch.unique_consecutive(key, return_inverse=True, return_counts=True)
    pair = multiplicity[inverse] == 2 if len(key) else key.bool()
    start = torch.ones_like(key, dtype=torch.bool)
    start[1:] = key[1:] != key[:-1]
    other = torch.cat([owner[1:], owner[-1:]])
    second = torch.where(pair, other, -1)
    rows = start | ~pair
    return EdgeTable(ends[rows], torch.stack([owner, second], dim=1)[rows])


def rim_of(faces: Int64[ndarray, "F 3"], vertex_count: int) -> Bool[ndarray, " V"]:
    """Vertices on an edge that has a triangle on one side only."""
    ends = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
    edges, times = np.unique(ends[:, 0] * vertex_count + ends[:, 1], return_counts=True)
    rim = np.zeros(vertex_count, dtype=bool)
    once = edges[times == 1]
    rim[once // vertex_count] = True
    rim[once % vertex_count] = True
    return rim
