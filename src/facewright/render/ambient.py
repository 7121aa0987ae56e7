"""How much of the light from all around reaches a head: little comes behind lips, lids and ears."""

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.core.rows import add_rows
from facewright.geometry.mesh import Topology
from facewright.geometry.normals import vertex_normals
from facewright.render.rasterize import rasterize
from facewright.render.shading import unit
from facewright.render.visibility import vertex_visibility
from facewright.scene.lighting import spread_directions

DIRECTIONS = 24
SIDE = 192  # pixels of the picture that a light sees
BIAS = 1.0  # mm that a vertex may lie behind the foremost surface and still be lit
REFLECTED = 0.45  # of the light that falls on a mesh
ROUNDS = 2  # of averaging with the neighbours: the edges of two dozen shadows are seen


def light_reaching(vertices: Float[Tensor, "V 3"], topology: Topology) -> Float[Tensor, " V"]:
    """Share (0 to 1) of the light from all around that reaches each vertex, past what is before it or off it.

    Args:
        vertices: mm, any frame.
        topology: of the mesh.
    """
    rays = spread_directions(DIRECTIONS, vertices)
    # Of each ray's picture the axes across; the way along the ray is the depth.
    aside = torch.where(
        rays[:, 1:2].abs() < 0.9, vertices.new_tensor([0.0, 1, 0]), vertices.new_tensor([1.0, 0, 0])
    )
    right = unit(torch.linalg.cross(aside, rays))
    seen_from = torch.stack([right, torch.linalg.cross(rays, right), rays], dim=1)
    points = vertices @ seen_from.transpose(1, 2)
    low = points[..., :2].amin(1, keepdim=True)
    scale = SIDE / (points[..., :2].amax(1, keepdim=True) - low).amax().clamp_min(1e-6)
    pixels = torch.cat([(points[..., :2] - low) * scale, points[..., 2:]], dim=-1)
    fragments = rasterize(pixels, topology.faces, (SIDE, SIDE), perspective=False)
    lit = vertex_visibility(fragments, pixels, topology.faces, bias=BIAS)
    comes = -(rays @ vertex_normals(vertices[None], topology.faces)[0].T).clamp_max(0)
    share = (comes * lit).sum(0) / comes.sum(0).clamp_min(1e-6)
    for _ in range(ROUNDS):
        share = 0.5 * (share + _around(share, topology))
    # What keeps light from a place reflects some to it, again and again.
    return share / (1 - REFLECTED * (1 - share))


def _around(values: Float[Tensor, " V"], topology: Topology) -> Float[Tensor, " V"]:
    """Mean over each vertex's neighbours; its own value if it has none."""
    ends = topology.edges.vertices
    ends = torch.cat([ends, ends.flip(1)])
    rows = torch.stack([values, torch.ones_like(values)], dim=1)[ends[:, 1]]
    total, count = add_rows(ends[:, 0], rows, len(values)).unbind(1)
    return torch.where(count > 0, total / count.clamp_min(1), values)
