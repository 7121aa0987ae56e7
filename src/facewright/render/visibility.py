"""Which vertices a camera sees: facing it, inside the image, and nothing in front."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from facewright.core.rows import add_rows
from facewright.core.threads import run_tasks
from facewright.geometry.mesh import check_faces
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

    Raises:
        InputError: fragments, pixels and faces do not belong together.
    """
    if pixels.device.type != "cpu":
        return plain_vertex_visibility(fragments, pixels, faces, bias=bias)
    from facewright.render import visibility_kernels

    check_faces(faces, pixels.shape[1])
    fragments.check(faces.shape[0])
    seen = torch.zeros(pixels.shape[:2], dtype=torch.bool)
    points, indices = pixels.detach().double().contiguous().numpy(), faces.contiguous().numpy()
    triangle, depth = fragments.triangle.contiguous().numpy(), fragments.depth.detach().contiguous().numpy()
    limits = fragments.perspective, float(bias), STEEPEST
    run_tasks(
        visibility_kernels.mark_seen,
        [(points[i], indices, triangle[i], depth[i], *limits, seen.numpy()[i]) for i in range(len(points))],
    )
    return seen


def plain_vertex_visibility(
    fragments: Fragments,
    pixels: Float[Tensor, "B V 3"],
    faces: Int64[Tensor, "F 3"],
    *,
    bias: float | int = 1.0,
) -> Bool[Tensor, "B V"]:
    """``vertex_visibility`` in plain torch: the specification of its kernel, and what other devices run."""
    height, width = fragments.size
    points = pixels.detach().double()
    batch = torch.arange(points.shape[0], device=points.device)[:, None]
    x, y, z = points.unbind(-1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    if fragments.perspective:
        inside &= z > 0
    column = torch.where(inside, x, 0.0).long()
    row = torch.where(inside, y, 0.0).long()
    triangle = fragments.triangle[batch, row, column].long()
    at_pixel = fragments.depth.detach().double()[batch, row, column]
    corners = faces[triangle.clamp_min(0)]
    surface = points[batch[..., None], corners]  # (B, V, 3 corners, xyz)
    ahead = (_continued_depth(surface, points, fragments.perspective) - at_pixel).nan_to_num(0.0)
    limit = at_pixel + ahead.clamp(0.0, STEEPEST * bias) + bias
    own = (corners == torch.arange(points.shape[1], device=points.device)[:, None]).any(-1)
    clear = (triangle < 0) | own | (z <= limit)
    return inside & clear & (_facing_area(points, faces, fragments.perspective) > 0)


def _continued_depth(surface: Tensor, points: Tensor, perspective: bool) -> Tensor:
    """Depth of each triangle's plane where the ray through the point meets it."""
    a, b, c = (surface[..., :2] - points[..., None, :2]).unbind(2)
    edge = torch.stack([_cross(b, c), _cross(c, a), _cross(a, b)], dim=-1)
    edge = edge / edge.sum(-1, keepdim=True)
    z = surface[..., 2]
    return 1.0 / (edge / z).sum(-1) if perspective else (edge * z).sum(-1)


def _facing_area(points: Tensor, faces: Tensor, perspective: bool) -> Tensor:
    """Signed image area around each vertex, positive if its triangles face the camera."""
    a, b, c = points[:, faces].unbind(2)
    area = -_cross((b - a)[..., :2], (c - a)[..., :2])
    drawn = area.abs() < torch.inf
    if perspective:
        drawn &= (points[:, faces][..., 2] > 0).all(-1)
    area = torch.where(drawn, area, 0.0)
    batch, count = points.shape[:2]
    offsets = torch.arange(batch, device=points.device)[:, None, None] * count
    index = (faces + offsets).flatten()
    spread = area[..., None].expand(-1, -1, 3).reshape(-1, 1)
    return add_rows(index, spread, batch * count).reshape(batch, count)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
