"""The kernels in plain torch: any device with float64, no compiler; same triangles as the others.

Memory is bounded: triangles are expanded into (triangle, pixel) candidates a chunk at a time.
"""

import torch
from torch import Tensor

from facewright.core.rows import add_rows
from facewright.geometry.adjacency import EdgeTable
from facewright.render.fragments import Fragments

CANDIDATES = 1 << 22  # (triangle, pixel) pairs held at once; about 100 bytes each


def rasterize(
    pixels: Tensor, faces: Tensor, size: tuple[int, int], perspective: bool, cull_back_faces: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Triangle, barycentric weights and depth of every pixel; see ``reference.rasterize``."""
    rows = [_cover(mesh.double(), faces, size, perspective, cull_back_faces) for mesh in pixels]
    triangle = torch.stack(rows) if rows else torch.empty(0, *size, dtype=torch.int32, device=pixels.device)
    barycentric = pixels.new_zeros(*triangle.shape, 3)
    depth = pixels.new_zeros(triangle.shape)
    where = (triangle >= 0).nonzero(as_tuple=True)
    corners = _seen_corners(pixels, faces, triangle, where)
    edge, inverse = _edge_functions(corners, where), _inverse_depth(corners, perspective)
    weights = edge * inverse
    total = weights[:, 0] + weights[:, 1] + weights[:, 2]
    weights = weights / total[:, None]
    if perspective:
        seen_depth = (edge[:, 0] + edge[:, 1] + edge[:, 2]) / total
    else:
        seen_depth = (weights * corners[..., 2]).sum(1)
    barycentric[where] = weights.to(pixels.dtype)
    depth[where] = seen_depth.to(pixels.dtype)
    return triangle, barycentric, depth


def rasterize_backward(
    pixels: Tensor,
    faces: Tensor,
    triangle: Tensor,
    perspective: bool,
    grad_barycentric: Tensor | None,
    grad_depth: Tensor | None,
) -> Tensor:
    """Gradient of ``pixels`` by the closed form of the numba kernel."""
    where = (triangle >= 0).nonzero(as_tuple=True)
    corners = _seen_corners(pixels, faces, triangle, where)
    edge, inverse = _edge_functions(corners, where), _inverse_depth(corners, perspective)
    weights = edge * inverse
    unit = 1.0 / weights.sum(1, keepdim=True)
    shares = weights * unit
    grad_edge, grad_z = torch.zeros_like(edge), torch.zeros_like(edge)
    if grad_barycentric is not None:
        incoming = grad_barycentric[where].double()
        through = (incoming - (shares * incoming).sum(1, keepdim=True)) * unit
        grad_edge += through * inverse
        if perspective:
            grad_z -= inverse * weights * through
    if grad_depth is not None:
        incoming = grad_depth[where].double()[:, None]
        z = corners[..., 2]
        if perspective:
            depth = edge.sum(1, keepdim=True) * unit
            grad_edge += incoming * (1.0 - depth * inverse) * unit
            grad_z += inverse * weights * incoming * depth * unit
        else:
            grad_edge += incoming * (z - (shares * z).sum(1, keepdim=True)) * unit
            grad_z += incoming * shares
    x, y = (corners[..., k] - (where[2 - k][:, None] + 0.5) for k in (0, 1))
    # e_i = x_j y_k - y_j x_k with (i, j, k) cyclic.
    following, previous = [1, 2, 0], [2, 0, 1]
    grad_x = grad_edge[:, previous] * y[:, following] - grad_edge[:, following] * y[:, previous]
    grad_y = grad_edge[:, following] * x[:, previous] - grad_edge[:, previous] * x[:, following]
    grad = torch.stack([grad_x, grad_y, grad_z], dim=-1).flatten(0, 1)
    seen = faces[triangle[where].long()] + (where[0] * pixels.shape[1])[:, None]
    return (
        add_rows(seen.flatten(), grad, pixels.shape[0] * pixels.shape[1])
        .reshape(pixels.shape)
        .to(pixels.dtype)
    )


def interpolate(attributes: Tensor, corners: Tensor, triangle: Tensor, barycentric: Tensor) -> Tensor:
    """Attributes blended at every pixel; 0 where empty."""
    where = (triangle >= 0).nonzero(as_tuple=True)
    out = attributes.new_zeros(*triangle.shape, attributes.shape[2])
    rows = _attribute_rows(attributes, corners, triangle, where)
    values = attributes.flatten(0, 1)[rows]
    out[where] = (values * barycentric[where][..., None]).sum(1)
    return out


def interpolate_backward(
    attributes: Tensor,
    corners: Tensor,
    triangle: Tensor,
    barycentric: Tensor,
    grad: Tensor,
    wanted: tuple[bool, bool],
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of the attributes and of the weights."""
    where = (triangle >= 0).nonzero(as_tuple=True)
    rows = _attribute_rows(attributes, corners, triangle, where)
    incoming = grad[where]
    grad_weights = None
    if wanted[1]:
        grad_weights = torch.zeros_like(barycentric)
        grad_weights[where] = (attributes.flatten(0, 1)[rows] * incoming[:, None]).sum(-1)
    if not wanted[0]:
        return None, grad_weights
    spread = (barycentric[where][..., None] * incoming[:, None]).flatten(0, 1)
    count = attributes.shape[0] * attributes.shape[1]
    return add_rows(rows.flatten(), spread, count).reshape(attributes.shape), grad_weights


def find_crossings(pixels: Tensor, faces: Tensor, edges: EdgeTable, fragments: Fragments) -> Tensor:
    """Where visible silhouette edges pass between two pixel centres; see ``portable_silhouettes``."""
    from facewright.render.backends import portable_silhouettes

    return portable_silhouettes.find_crossings(pixels, faces, edges, fragments)


def _cover(mesh: Tensor, faces: Tensor, size: tuple[int, int], perspective: bool, cull: bool) -> Tensor:
    """Nearest triangle of every pixel of one image; ``mesh`` is (V, 3) float64."""
    height, width = size
    nearest = torch.full((height * width,), -torch.inf, dtype=torch.float64, device=mesh.device)
    owner = torch.full((height * width,), -1, dtype=torch.int64, device=mesh.device)
    corners = mesh[faces]
    low = (corners[..., :2].amin(1) - 0.5).ceil().clamp_min(0)
    limit = torch.tensor([width - 1, height - 1], dtype=torch.float64, device=mesh.device)
    high = torch.minimum((corners[..., :2].amax(1) - 0.5).floor(), limit)
    a, b, c = corners.unbind(1)
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    drawn = (area.abs() > 0) & (area.abs() < torch.inf) & (low <= high).all(1)
    if cull:
        drawn &= area < 0
    drawn &= corners[..., 2].abs().sum(1) < torch.inf
    if perspective:
        drawn &= (corners[..., 2] > 0).all(1)
    candidates = drawn.nonzero()[:, 0]
    extent = (high - low)[candidates].long() + 1
    count = extent[:, 0] * extent[:, 1]
    for chunk in _chunks(count):
        face = candidates[chunk].repeat_interleave(count[chunk])
        first = (count[chunk].cumsum(0) - count[chunk]).repeat_interleave(count[chunk])
        within = torch.arange(len(face), device=mesh.device) - first
        columns = extent[chunk, 0].repeat_interleave(count[chunk])
        x = low[face, 0].long() + within % columns
        y = low[face, 1].long() + within // columns
        _merge(nearest, owner, corners, area, face, (x, y), width, perspective)
    return owner.reshape(height, width).int()


def _merge(
    nearest: Tensor,
    owner: Tensor,
    corners: Tensor,
    area: Tensor,
    face: Tensor,
    place: tuple[Tensor, Tensor],
    width: int,
    perspective: bool,
) -> None:
    """Let a chunk compete with what earlier (lower) triangles left; ties keep the lower index."""
    x, y = place
    sign = torch.where(area > 0, 1.0, -1.0)[face].double()[:, None]
    own = corners[face]
    edge = sign * _edge_functions(own, (face, y, x))
    # Edge i runs from corner i+1 to corner i+2; at exactly 0 the rule of ``_owns_edge`` decides.
    run = sign[..., None] * (own[:, [2, 0, 1], :2] - own[:, [1, 2, 0], :2])
    owns = (run[..., 1] > 0) | ((run[..., 1] == 0) & (run[..., 0] > 0))
    inside = ((edge > 0) | ((edge == 0) & owns)).all(1)
    edge, own, face = edge[inside], own[inside], face[inside]
    pixel = y[inside] * width + x[inside]
    q = 1.0 / own[..., 2] if perspective else -own[..., 2]
    product = edge * (q * (1.0 / area[face].abs())[:, None])
    key = product[:, 0] + product[:, 1] + product[:, 2]
    best = torch.full_like(nearest, -torch.inf).scatter_reduce_(0, pixel, key, "amax")
    wins = key == best[pixel]
    lowest = torch.full_like(owner, torch.iinfo(torch.int64).max)
    lowest.scatter_reduce_(0, pixel[wins], face[wins], "amin")
    better = best > nearest
    nearest[better] = best[better]
    owner[better] = lowest[better]


def _chunks(count: Tensor) -> list[slice]:
    """Consecutive triangles whose candidates fit into memory; a larger one comes alone."""
    ends = count.cumsum(0).cpu()
    slices, start, base = [], 0, 0
    while start < len(ends):
        stop = int(torch.searchsorted(ends, base + CANDIDATES, right=True))
        stop = max(stop, start + 1)
        slices.append(slice(start, stop))
        base, start = int(ends[stop - 1]), stop
    return slices


def _seen_corners(pixels: Tensor, faces: Tensor, triangle: Tensor, where: tuple[Tensor, ...]) -> Tensor:
    """The projected corners, (N, 3, 3) float64, of the triangle that each covered pixel sees."""
    return pixels[where[0][:, None], faces[triangle[where].long()]].double()


def _edge_functions(corners: Tensor, where: tuple[Tensor, ...]) -> Tensor:
    """The cross products (b x c, c x a, a x b) of the corners as seen from the pixel centres (.., y, x)."""
    x = corners[..., 0] - (where[2][:, None] + 0.5)
    y = corners[..., 1] - (where[1][:, None] + 0.5)
    following, previous = [1, 2, 0], [2, 0, 1]
    return x[:, following] * y[:, previous] - y[:, following] * x[:, previous]


def _inverse_depth(corners: Tensor, perspective: bool) -> Tensor:
    return 1.0 / corners[..., 2] if perspective else torch.ones_like(corners[..., 2])


def _attribute_rows(
    attributes: Tensor, corners: Tensor, triangle: Tensor, where: tuple[Tensor, ...]
) -> Tensor:
    """Rows of the flattened attributes at the corners of each covered pixel's triangle."""
    rows = corners[triangle[where].long()]
    return rows if attributes.shape[0] == 1 else rows + (where[0] * attributes.shape[1])[:, None]
