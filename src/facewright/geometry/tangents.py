"""Directions on a surface along which its texture coordinates grow."""

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.geometry.mesh import Topology

LEAST_AREA = 1e-12  # of a triangle on the map, below which it has no direction
LEAST_LENGTH = 1e-6  # of a sum of unit directions


def vertex_tangents(
    vertices: Float[Tensor, "B V 3"], normals: Float[Tensor, "B V 3"], topology: Topology
) -> Float[Tensor, "B V 2 3"]:
    """Unit tangents at the vertices: along u, and at right angles to it on the side of v; across the normals.

    In the frame of the vertices. Directions are means over the triangles around, whatever their size; a
    vertex whose triangles tell none has zeros.

    Args:
        vertices: any frame, any unit.
        normals: unit normals in the same frame.
        topology: triangles and texture coordinates.
    """
    corners, flat = vertices[:, topology.faces], topology.uv[topology.uv_faces]
    (a, b), (u, v) = (
        (corners[:, :, side] - corners[:, :, 0] for side in (1, 2)),
        (flat[:, side] - flat[:, 0] for side in (1, 2)),
    )
    area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    told = (area.abs() > LEAST_AREA)[:, None]
    sign = torch.where(told, area.sign()[:, None], 0.0)
    along = torch.stack([a * v[:, 1:] - b * u[:, 1:], b * u[:, :1] - a * v[:, :1]], 2) * sign[..., None]
    along = along / along.norm(dim=-1, keepdim=True).clamp_min(LEAST_AREA)
    total = vertices.new_zeros(*vertices.shape[:2], 2, 3)
    total = total.index_add(1, topology.faces.flatten(), along.repeat_interleave(3, 1))
    along_u, along_v = total.unbind(2)
    tangent = _unit(_across(along_u, normals))
    return torch.stack([tangent, _unit(_across(_across(along_v, normals), tangent))], 2)


def _across(vectors: Tensor, directions: Tensor) -> Tensor:
    """What of vectors is at right angles to unit directions."""
    return vectors - directions * (vectors * directions).sum(-1, keepdim=True)


def _unit(vectors: Tensor) -> Tensor:
    length = vectors.norm(dim=-1, keepdim=True)
    return torch.where(length > LEAST_LENGTH, vectors / length.clamp_min(LEAST_LENGTH), 0.0)
