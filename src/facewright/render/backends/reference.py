"""The specification: float64, one triangle (or edge) after the other, nothing clever. Slow on purpose.

Gradients come from autograd on the plain formulas; the other backends' closed forms are tested against them.
"""

import math

import torch
from torch import Tensor

from facewright.geometry.adjacency import EdgeTable
from facewright.render.fragments import Fragments


def rasterize(
    pixels: Tensor, faces: Tensor, size: tuple[int, int], perspective: bool, cull_back_faces: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Triangle, barycentric weights and depth of every pixel.

    A pixel is inside a triangle if its three edge functions are positive; one that is 0 counts if the edge,
    walked with the inside on the same hand, goes down the image, or right if level: true for just one of the
    two triangles at a shared edge. The nearest wins, the lower index if equally near.
    """
    triangle = torch.stack(
        [_cover(mesh.detach().double(), faces, size, perspective, cull_back_faces) for mesh in pixels]
    )
    barycentric, depth = weigh(pixels, faces, triangle, perspective)
    return triangle, barycentric.to(pixels.dtype), depth.to(pixels.dtype)


def weigh(pixels: Tensor, faces: Tensor, triangle: Tensor, perspective: bool) -> tuple[Tensor, Tensor]:
    """Weights (B, H, W, 3) and depth (B, H, W), float64, of given triangles; differentiable by autograd.

    With edge functions e and depths z: weights e_i / z_i over their sum (perspective), or e_i over theirs.
    Depth is the weighted mean of the corners' depths.
    """
    batch, height, width = triangle.shape
    if faces.shape[0] == 0:
        return pixels.new_zeros(*triangle.shape, 3).double(), pixels.new_zeros(triangle.shape).double()
    covered = triangle >= 0
    safe = triangle.clamp_min(0).long()
    rows = torch.arange(batch)[:, None, None, None]
    corners = pixels.double()[rows, faces[safe]]  # (B, H, W, 3 corners, xyz)
    centers = torch.stack(
        torch.meshgrid(torch.arange(width) + 0.5, torch.arange(height) + 0.5, indexing="xy"), dim=-1
    ).double()
    a, b, c = (corners[..., :2] - centers[None, :, :, None]).unbind(3)
    edge = torch.stack([_cross(b, c), _cross(c, a), _cross(a, b)], dim=-1)
    weights = edge / corners[..., 2] if perspective else edge
    total = weights.sum(-1, keepdim=True)
    keep = covered[..., None]
    weights = torch.where(keep, weights / torch.where(keep, total, 1.0), 0.0)
    return weights, (weights * corners[..., 2]).sum(-1)


def rasterize_backward(
    pixels: Tensor,
    faces: Tensor,
    triangle: Tensor,
    perspective: bool,
    grad_barycentric: Tensor | None,
    grad_depth: Tensor | None,
) -> Tensor:
    """Gradient of ``pixels`` by autograd through ``weigh``."""
    with torch.enable_grad():
        leaf = pixels.detach().double().requires_grad_()
        weights, depth = weigh(leaf, faces, triangle, perspective)
        total = leaf.sum() * 0.0
        if grad_barycentric is not None:
            total = total + (weights * grad_barycentric).sum()
        if grad_depth is not None:
            total = total + (depth * grad_depth).sum()
        (grad,) = torch.autograd.grad(total, leaf)
    return grad.to(pixels.dtype)


def interpolate(attributes: Tensor, corners: Tensor, triangle: Tensor, barycentric: Tensor) -> Tensor:
    """Attributes blended at every pixel; 0 where empty."""
    batch = triangle.shape[0]
    values = attributes.expand(batch, -1, -1)
    rows = torch.arange(batch)[:, None, None, None]
    at_corners = values[rows, corners[triangle.clamp_min(0).long()]]  # (B, H, W, 3 corners, C)
    return (at_corners * barycentric[..., None]).sum(3)


def interpolate_backward(
    attributes: Tensor,
    corners: Tensor,
    triangle: Tensor,
    barycentric: Tensor,
    grad: Tensor,
    wanted: tuple[bool, bool],
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of the attributes and of the weights by autograd through ``interpolate``."""
    with torch.enable_grad():
        leaves = (attributes.detach().requires_grad_(), barycentric.detach().requires_grad_())
        out = interpolate(leaves[0], corners, triangle, leaves[1])
        grad_attributes, grad_weights = torch.autograd.grad(out, leaves, grad)
    grad_weights = grad_weights * (triangle >= 0)[..., None]
    return grad_attributes if wanted[0] else None, grad_weights if wanted[1] else None


def find_crossings(pixels: Tensor, faces: Tensor, edges: EdgeTable, fragments: Fragments) -> Tensor:
    """Where visible silhouette edges pass between two pixel centres.

    An edge is a silhouette if it is a border, or if one of its triangles faces the camera and the other does
    not. Edges that rise more than they run are cut by the rows of pixel centres, the others by the columns.
    A cut counts between an inner pixel (on the triangle's side) and its outer neighbour if

    - they see different triangles, the inner one is not empty;
    - the edge is in front of what the outer one sees, and nearer in depth to the inner one than to the outer.

    Of several cuts of one pair the outermost is kept.
    """
    found = [
        _crossings_of_image(i, pixels[i].double(), faces, edges, fragments) for i in range(pixels.shape[0])
    ]
    rows = [row for image in found for row in image]
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, 6)


def _crossings_of_image(
    image: int, mesh: Tensor, faces: Tensor, edges: EdgeTable, fragments: Fragments
) -> list[list[int]]:
    height, width = fragments.size
    triangle, depth = fragments.triangle[image], fragments.depth[image].double()
    area = _areas(mesh, faces, fragments.perspective)
    kept: dict[tuple[int, ...], tuple[float, list[int]]] = {}
    for edge, (first, second) in enumerate(edges.faces.tolist()):
        owner = _owner(first, second, area, fragments.cull_back_faces)
        if owner is None:
            continue
        a, b = edges.vertices[edge].tolist()
        c = next(v for v in faces[owner].tolist() if v not in (a, b))
        run, rise = (mesh[b, :2] - mesh[a, :2]).tolist()
        along = 0 if abs(rise) >= abs(run) else 1  # the axis of the pixel pair
        across = 1 - along
        start, span = float(mesh[a, across]), (rise, run)[along]
        low, high = min(start, start + span), max(start, start + span)
        size = (width, height)
        for line in range(max(math.ceil(low - 0.5), 0), min(math.ceil(high - 0.5), size[across])):
            portion = (line + 0.5 - start) / span
            cut = mesh[a] + portion * (mesh[b] - mesh[a])
            position = float(cut[along])
            if not 0.5 <= position < size[along] - 0.5:
                continue
            left = math.floor(position - 0.5)
            # The inside is where the third corner lies, measured along the pair's axis from the edge's line.
            level = (float(mesh[c, across]) - start) / span
            offset = float(mesh[c, along]) - float(mesh[a, along] + level * (mesh[b, along] - mesh[a, along]))
            inner, step = (left, 1) if offset < 0 else (left + 1, -1)
            inside = (line, inner) if along == 0 else (inner, line)
            outside = (line, inner + step) if along == 0 else (inner + step, line)
            if not _edge_is_seen(float(cut[2]), triangle, depth, inside, outside):
                continue
            reach = (position - inner - 0.5) * step
            key = (along, *min(inside, outside))
            row = [image, edge, inside[1], inside[0], outside[1] - inside[1], outside[0] - inside[0]]
            if key not in kept or reach > kept[key][0]:
                kept[key] = (reach, row)
    return [row for _, row in kept.values()]


def _edge_is_seen(
    z: float, triangle: Tensor, depth: Tensor, inside: tuple[int, int], outside: tuple[int, int]
) -> bool:
    if triangle[inside] < 0 or triangle[inside] == triangle[outside]:
        return False
    if triangle[outside] < 0:
        return True
    z_in, z_out = float(depth[inside]), float(depth[outside])
    return z < z_out and abs(z_in - z) <= abs(z_out - z)


def _owner(first: int, second: int, area: list[float], cull: bool) -> int | None:
    """The triangle whose outline the edge is, None if it is no silhouette; area < 0 faces the camera."""
    if second < 0:
        return first if area[first] < 0 or (area[first] > 0 and not cull) else None
    if area[first] * area[second] >= 0:
        return None
    return first if area[first] < 0 else second


def _areas(mesh: Tensor, faces: Tensor, perspective: bool) -> list[float]:
    """Twice the signed areas on the image, as signs; 0 for triangles that are not drawn."""
    a, b, c = mesh[faces].unbind(1)
    area = _cross(b[:, :2] - a[:, :2], c[:, :2] - a[:, :2])
    drawn = area.abs() < torch.inf
    if perspective:
        drawn &= (mesh[faces][..., 2] > 0).all(1)
    return torch.where(drawn, area.sign(), 0.0).tolist()


def _cover(mesh: Tensor, faces: Tensor, size: tuple[int, int], perspective: bool, cull: bool) -> Tensor:
    height, width = size
    nearest = torch.full(size, -torch.inf, dtype=torch.float64)
    owner = torch.full(size, -1, dtype=torch.int32)
    x, y = torch.arange(width).double() + 0.5, (torch.arange(height).double() + 0.5)[:, None]
    for face, corners in enumerate(mesh[faces]):
        a, b, c = corners[:, :2]
        z = corners[:, 2]
        area = _cross(b - a, c - a)
        finite = 0 < area.abs() < torch.inf and bool(torch.isfinite(z).all())
        if not finite or (cull and area > 0) or (perspective and not (z > 0).all()):
            continue
        sign = area.sign()
        inside = torch.ones(size, dtype=torch.bool)
        edges = []
        for start, end in ((b, c), (c, a), (a, b)):
            e = sign * ((start[0] - x) * (end[1] - y) - (start[1] - y) * (end[0] - x))
            dx, dy = (sign * (end - start)).tolist()
            owns = dy > 0 or (dy == 0 and dx > 0)
            inside &= (e >= 0) if owns else (e > 0)
            edges.append(e)
        q = 1 / z if perspective else -z
        k = q * (1 / area.abs())
        key = edges[0] * k[0] + edges[1] * k[1] + edges[2] * k[2]
        wins = inside & (key > nearest)
        nearest[wins] = key[wins]
        owner[wins] = face
    return owner


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
