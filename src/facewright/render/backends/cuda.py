"""The Warp backend: kernels compiled for CUDA; Warp's CPU device (one thread) runs them too, for the tests.

The optional package warp-lang is imported here and in ``cuda_kernels`` only. Sums over pixels go through
``core.rows``, which adds in a fixed order: atomic additions would give other bits each time.
"""

from collections.abc import Callable, Sequence

import torch
import warp as wp  # pyright: ignore[reportMissingImports]
from torch import Tensor

from facewright.core.rows import add_rows
from facewright.geometry.adjacency import EdgeTable
from facewright.render.backends import cuda_kernels, portable
from facewright.render.fragments import Fragments

wp.config.log_level = max(wp.config.log_level, wp.LOG_WARNING)  # or it greets on the standard output
wp.init()


def rasterize(
    pixels: Tensor, faces: Tensor, size: tuple[int, int], perspective: bool, cull_back_faces: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Triangle, barycentric weights and depth of every pixel; see ``reference.rasterize``."""
    shape, device = (pixels.shape[0], *size), pixels.device
    nearest = torch.full(shape, -torch.inf, dtype=torch.float64, device=device)
    triangle = torch.full(shape, int(cuda_kernels.NOBODY), dtype=torch.int32, device=device)
    weights, depth = pixels.new_empty(*shape, 3), pixels.new_empty(shape)
    points, indices = _points(pixels), _triples(faces)
    targets = wp.from_torch(nearest), wp.from_torch(triangle)
    threads = (len(pixels), len(faces))
    for decided in (False, True):
        flags = perspective, cull_back_faces, decided
        _launch(cuda_kernels.compete, threads, [points, indices, *flags, *targets], device)
    results = [targets[1], wp.from_torch(weights), wp.from_torch(depth)]
    _launch(cuda_kernels.weigh, shape, [points, indices, perspective, *results], device)
    return triangle, weights, depth


def rasterize_backward(
    pixels: Tensor,
    faces: Tensor,
    triangle: Tensor,
    perspective: bool,
    grad_barycentric: Tensor | None,
    grad_depth: Tensor | None,
) -> Tensor:
    """Gradient of ``pixels`` by the closed form of the numba kernel."""
    none = torch.zeros((), dtype=torch.float64, device=pixels.device)
    shape = triangle.shape
    of_weights = none.expand(*shape, 3) if grad_barycentric is None else grad_barycentric.double()
    of_depth = none.expand(shape) if grad_depth is None else grad_depth.double()
    places = (triangle >= 0).nonzero()
    grad = torch.empty(len(places), 3, 3, dtype=torch.float64, device=pixels.device)
    incoming = [wp.from_torch(triangle), wp.from_torch(of_weights), wp.from_torch(of_depth)]
    arguments = [_points(pixels), _triples(faces), perspective, _triples(places), *incoming]
    target = wp.from_torch(grad, dtype=wp.vec3d)
    _launch(cuda_kernels.weigh_backward, (len(places),), [*arguments, target], pixels.device)
    rows = faces[triangle[places.unbind(1)].long()] + places[:, :1] * pixels.shape[1]
    total = add_rows(rows.flatten(), grad.flatten(0, 1), pixels.shape[0] * pixels.shape[1])
    return total.reshape(pixels.shape).to(pixels.dtype)


def interpolate(attributes: Tensor, corners: Tensor, triangle: Tensor, barycentric: Tensor) -> Tensor:
    """Attributes blended at every pixel; 0 where empty."""
    out = attributes.new_empty(*triangle.shape, attributes.shape[2])
    arrays = [wp.from_torch(attributes), _triples(corners)]
    arrays += [wp.from_torch(tensor) for tensor in (triangle, barycentric, out)]
    _launch(cuda_kernels.blend, tuple(triangle.shape), arrays, attributes.device)
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
    places = (triangle >= 0).nonzero()
    grad_attributes = grad_weights = None
    if wanted[1]:
        grad_weights = torch.zeros_like(barycentric, memory_format=torch.contiguous_format)
        arrays = [wp.from_torch(attributes.detach()), _triples(corners), _triples(places)]
        arrays += [wp.from_torch(tensor.detach()) for tensor in (triangle, grad, grad_weights)]
        _launch(cuda_kernels.blend_backward, (len(places), 3), arrays, attributes.device)
    if wanted[0]:
        where = places.unbind(1)
        own = attributes.shape[0] > 1
        rows = corners[triangle[where].long()] + places[:, :1] * (attributes.shape[1] if own else 0)
        spread = (barycentric[where].detach()[..., None] * grad[where][:, None]).flatten(0, 1)
        count = attributes.shape[0] * attributes.shape[1]
        grad_attributes = add_rows(rows.flatten(), spread, count).reshape(attributes.shape)
    return grad_attributes, grad_weights


def find_crossings(pixels: Tensor, faces: Tensor, edges: EdgeTable, fragments: Fragments) -> Tensor:
    """Where visible silhouette edges pass between two pixel centres, by torch as in ``portable``."""
    return portable.find_crossings(pixels, faces, edges, fragments)


def _points(pixels: Tensor) -> wp.array:
    return wp.from_torch(pixels.detach().double().contiguous(), dtype=wp.vec3d)


def _triples(rows: Tensor) -> wp.array:
    return wp.from_torch(rows.int().contiguous(), dtype=wp.vec3i)


def _launch(
    kernel: Callable[..., None], threads: tuple[int, ...], arguments: Sequence[object], device: torch.device
) -> None:
    """Run on torch's stream of that device, so that torch's own operations before and after are in order."""
    if 0 in threads:
        return
    stream = wp.stream_from_torch(torch.cuda.current_stream(device)) if device.type == "cuda" else None
    wp.launch(kernel, threads, inputs=arguments, device=wp.device_from_torch(device), stream=stream)
