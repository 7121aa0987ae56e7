"""The silhouette walk in plain torch; the rules are in ``reference``."""

import torch
from torch import Tensor

from facewright.geometry.adjacency import EdgeTable
from facewright.render.fragments import Fragments

TRIANGLES = 1 << 22  # of all images that are looked at together; about 200 bytes each


def find_crossings(pixels: Tensor, faces: Tensor, edges: EdgeTable, fragments: Fragments) -> Tensor:
    """Rows of (image, edge, inner x, inner y, step x, step y); one row a pair of pixels."""
    together = max(1, TRIANGLES // max(1, len(faces)))
    starts = range(0, len(pixels), together)
    rows = [_of_images(k, pixels[k : k + together].double(), faces, edges, fragments) for k in starts]
    return torch.cat(rows) if rows else torch.empty(0, 6, dtype=torch.int64, device=pixels.device)


def _of_images(start: int, meshes: Tensor, faces: Tensor, edges: EdgeTable, fragments: Fragments) -> Tensor:
    """The rows of some consecutive images of the fragments."""
    height, width = fragments.size
    own, edge, owner = _silhouettes(meshes, faces, edges, fragments)
    image = own + start
    ends = edges.vertices[edge]
    third = faces[owner].sum(1) - ends.sum(1)
    a, b, c = (meshes[own, corner] for corner in (ends[:, 0], ends[:, 1], third))
    steep = (b[:, 1] - a[:, 1]).abs() >= (b[:, 0] - a[:, 0]).abs()
    # Swap so that column 0 is the axis of the pixel pair and column 1 runs along the edge.
    a_uv, b_uv = (torch.where(steep[:, None], p[:, :2], p[:, [1, 0]]) for p in (a, b))
    span = b_uv[:, 1] - a_uv[:, 1]
    turn = _cross(b[:, :2] - a[:, :2], c[:, :2] - a[:, :2]) * span
    step = torch.where((turn > 0) == steep, 1, -1)
    sizes = torch.tensor([width, height], device=meshes.device)
    u_size, v_size = (torch.where(steep, sizes[k], sizes[1 - k]) for k in (0, 1))
    low = (torch.minimum(a_uv[:, 1], b_uv[:, 1]) - 0.5).ceil().clamp(0, 1e6).long()
    high = (torch.maximum(a_uv[:, 1], b_uv[:, 1]) - 0.5).ceil().clamp(0, 1e6).long().minimum(v_size)
    count = (high - low).clamp_min(0)
    which = torch.arange(len(edge), device=meshes.device).repeat_interleave(count)
    line = low[which] + torch.arange(len(which), device=meshes.device) - (count.cumsum(0) - count)[which]
    portion = (line + 0.5 - a_uv[which, 1]) / span[which]
    position = a_uv[which, 0] + portion * (b_uv[which, 0] - a_uv[which, 0])
    z = a[which, 2] + portion * (b[which, 2] - a[which, 2])
    within = (position >= 0.5) & (position < u_size[which] - 0.5)
    which, line, position, z = which[within], line[within], position[within], z[within]
    first = (position - 0.5).floor().long()
    inner = torch.where(step[which] > 0, first, first + 1)
    outer = inner + step[which]
    x_in, y_in = torch.where(steep[which], inner, line), torch.where(steep[which], line, inner)
    x_out, y_out = torch.where(steep[which], outer, line), torch.where(steep[which], line, outer)
    reach = (position - inner - 0.5) * step[which]
    seen = _edge_is_seen(z, fragments, (image[which], y_in, x_in), (image[which], y_out, x_out))
    pair = (steep[which] * height + torch.minimum(y_in, y_out)) * width + torch.minimum(x_in, x_out)
    pair = own[which] * (2 * height * width) + pair
    kept = seen.nonzero()[:, 0]
    kept = kept[_outermost(pair[kept], reach[kept], len(meshes) * 2 * height * width)]
    parts = [image[which], edge[which], x_in, y_in, x_out - x_in, y_out - y_in]
    return torch.stack([part[kept] for part in parts], dim=1)


def _silhouettes(
    meshes: Tensor, faces: Tensor, edges: EdgeTable, fragments: Fragments
) -> tuple[Tensor, Tensor, Tensor]:
    """Image and row of silhouette edges, image by image, and the triangle whose outline each is."""
    a, b, c = meshes[:, faces].unbind(2)
    area = _cross(b[..., :2] - a[..., :2], c[..., :2] - a[..., :2])
    drawn = area.abs() < torch.inf
    if fragments.perspective:
        drawn = drawn & (torch.stack([a[..., 2], b[..., 2], c[..., 2]]) > 0).all(0)
    facing = torch.where(drawn, -area.sign(), 0.0)
    first, second = edges.faces.unbind(1)
    front = facing[:, first]
    border = second < 0
    back = torch.where(border, 0.0, facing[:, second.clamp_min(0)])
    outline = (front > 0) if fragments.cull_back_faces else (front != 0)
    image, edge = torch.where(border, outline, front * back < 0).nonzero().unbind(1)
    owner = torch.where(border[edge] | (front[image, edge] > 0), first[edge], second[edge])
    return image, edge, owner


def _edge_is_seen(
    z: Tensor, fragments: Fragments, inside: tuple[Tensor, ...], outside: tuple[Tensor, ...]
) -> Tensor:
    triangle, depth = fragments.triangle, fragments.depth.double()
    z_in, z_out = depth[inside], depth[outside]
    nearer = (z < z_out) & ((z_in - z).abs() <= (z_out - z).abs())
    empty = triangle[outside] < 0
    return (triangle[inside] >= 0) & (triangle[inside] != triangle[outside]) & (empty | nearer)


def _outermost(pair: Tensor, reach: Tensor, count: int) -> Tensor:
    """Rows with the greatest reach of their pair; the first of equals."""
    best = torch.full((count,), -torch.inf, dtype=reach.dtype, device=reach.device)
    best.scatter_reduce_(0, pair, reach, "amax")
    top = (reach == best[pair]).nonzero()[:, 0]
    first = torch.full((count,), len(pair), dtype=torch.int64, device=pair.device)
    first.scatter_reduce_(0, pair[top], top, "amin")
    return top[first[pair[top]] == top]


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
