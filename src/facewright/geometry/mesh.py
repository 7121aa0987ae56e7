"""A triangle mesh: vertices over a topology that many meshes share."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.core.errors import InputError
from facewright.geometry.adjacency import EdgeTable, edge_table


@dataclass(frozen=True)
class Topology:
    """What is constant while a face moves: triangles and their texture coordinates.

    Attributes:
        faces: vertex indices, counter-clockwise seen from outside.
        uv: texture coordinates, origin bottom-left, v up; ``T`` may exceed ``V`` (seams).
        uv_faces: indices into ``uv`` for each corner of each face.
    """

    faces: Int64[Tensor, "F 3"]
    uv: Float[Tensor, "T 2"]
    uv_faces: Int64[Tensor, "F 3"]

    @cached_property
    def edges(self) -> EdgeTable:
        """The edges with the triangles beside them; sorted when first asked for."""
        return edge_table(self.faces)

    def to(self, device: torch.device | str) -> "Topology":
        """Return the same topology on another device."""
        return replace(
            self, faces=self.faces.to(device), uv=self.uv.to(device), uv_faces=self.uv_faces.to(device)
        )


@dataclass(frozen=True)
class Mesh:
    """One mesh in one frame; which frame, the place that makes it says.

    Attributes:
        vertices: positions in mm.
        topology: triangles and texture coordinates.
    """

    vertices: Float[Tensor, "V 3"]
    topology: Topology


def check_faces(faces: Int64[Tensor, "F _"], vertex_count: int) -> None:
    """Refuse indices that do not point into the vertices.

    Raises:
        InputError: an index is negative or not below ``vertex_count``.
    """
    if faces.numel() == 0:
        return
    low, high = (int(bound) for bound in torch.aminmax(faces))
    if low < 0 or high >= vertex_count:
        raise InputError(f"face indices must lie in [0, {vertex_count}), got {low} to {high}.")
