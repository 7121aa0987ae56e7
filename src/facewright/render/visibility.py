"""Which vertices a camera sees: facing it, inside the image, and nothing in front."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from facewright.core.rows import add_rows
from facewright.render.fragments import Fragments

STEEPEST = 10.0  # how many times the bias a surface may fall off within one pixel and still count as itself


def vertex_visibility(
    fragments: Fragments,
    pixels: Float[Tensor, "B V 3"],
    faces: Int64[Tensor, "F 3"],
    *,
    bias: float | int = 1.0,
) -> Bool[Tensor, "B V"]:
    """Test each vertex against the depth at its pixel.

    A vertex is seen if it lies inside the image, the triangles around it face the camera (by their area
    on the image), and the triangle at its pixel, continued to the vertex's exact position, is not in front
    of it by more than ``bias``. An empty pixel hides nothing: outlines lose no vertex.

    Args:
        fragments: what ``rasterize`` found for ``pixels`` and ``faces``.
        pixels: projected vertices (x px, y px, depth mm).
        faces: vertex indices, counter-clockwise seen from outside.
        bias: depth in mm that is forgiven.
    """
    height, width = fragments.size
    points = pixels.detach().double()
    x, y, z = points.unbind(-1)
    seen = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    if fragments.perspective:
        seen &= z > 0
    seen &= _facing_area(points, faces, fragments.perspective) > 0
    which, vertex = torch.nonzero(seen, as_tuple=True)  # the rest is decided
    here = points[which, vertex]
    row, column = here[:, 1].long(), here[:, 0].long()
    triangle = fragments.triangle[which, row, column].long()
    at_pixel = fragments.depth.detach().double()[which, row, column]
    corners = faces[triangle.clamp_min(0)]
    surface = points[which[:, None], corners]  # (N, 3 corners, xyz)
    ahead = (_continued_depth(surface, here, fragments.perspective) - at_pixel).nan_to_num(0.0)
    limit = at_pixel + ahead.clamp(0.0, STEEPEST * bias) + bias
    own = (corners == vertex[:, None]).any(-1)
    seen[which, vertex] = (triangle < 0) | own | (here[:, 2] <= limit)
    return seen


def _continued_depth(surface: Tensor, points: Tensor, perspective: bool) -> Tensor:
    """Depth of each triangle's plane where the ray through the point meets it."""
    a, b, c = (surface[..., :2] - points[..., None, :2]).unbind(-2)
    edges = _cross(b, c), _cross(c, a), _cross(a, b)
    total = edges[0] + edges[1] + edges[2]
    depths = surface[..., 2].unbind(-1)
    terms = [e / total / z if perspective else e / total * z for e, z in zip(edges, depths, strict=True)]
    along = terms[0] + terms[1] + terms[2]
    return 1.0 / along if perspective else along


def _facing_area(points: Tensor, faces: Tensor, perspective: bool) -> Tensor:
    """Signed image area around each vertex, positive if its triangles face the camera."""
    a, b, c = (points[:, faces[:, corner]] for corner in range(3))
    area = -_cross(b - a, c - a)
    drawn = area.abs() < torch.inf
    if perspective:
        drawn &= (a[..., 2] > 0) & (b[..., 2] > 0) & (c[..., 2] > 0)
    area = torch.where(drawn, area, 0.0)
    batch, count = points.shape[:2]
    offsets = torch.arange(batch, device=points.device)[:, None, None] * count
    index = (faces + offsets).flatten()
    spread = area[..., None].expand(-1, -1, 3).reshape(-1, 1)
    return add_rows(index, spread, batch * count).reshape(batch, count)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
