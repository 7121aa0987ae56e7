"""The CPU backend: serial numba kernels, threaded from Python over images and bands of rows.

Results do not depend on the number of threads: forward kernels write disjoint rows, backward kernels add up
one image in pixel order, or a lone image in two halves.
"""

import numpy as np
import torch
from torch import Tensor

from facewright.core.threads import run_tasks, thread_count
from facewright.geometry.adjacency import EdgeTable
from facewright.render.backends import cpu_kernels, cpu_silhouettes
from facewright.render.fragments import Fragments


def rasterize(
    pixels: Tensor, faces: Tensor, size: tuple[int, int], perspective: bool, cull_back_faces: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Triangle, barycentric weights and depth of every pixel; see ``reference.rasterize``."""
    batch, (height, width) = pixels.shape[0], size
    triangle = _empty((batch, height, width), torch.int32)
    barycentric = _empty((batch, height, width, 3), pixels.dtype)
    depth = _empty((batch, height, width), pixels.dtype)
    corners, indices = _array(pixels), _array(faces)
    views = triangle.numpy(), barycentric.numpy(), depth.numpy()
    bands = _bands(batch, height)
    tallest = max((last - first for _, first, last in bands), default=0)
    flags = perspective, cull_back_faces
    spare: list[tuple[np.ndarray, ...]] = []  # work space goes from image to image, as fresh memory is slow

    def draw(image: int, first: int, last: int) -> None:
        try:
            nearest, corner, around = spare.pop()
        except IndexError:
            vertices = corners.shape[1]
            nearest, corner = np.empty((tallest, width)), np.empty((vertices, 3))
            around = np.empty((vertices, 4), np.int16)
        target = [view[image, first:last] for view in views]
        work = nearest[: last - first], corner, around
        cpu_kernels.rasterize_band(corners[image], indices, first, height, flags, work, *target)
        spare.append((nearest, corner, around))

    run_tasks(draw, bands)
    return triangle, barycentric, depth


def rasterize_backward(
    pixels: Tensor,
    faces: Tensor,
    triangle: Tensor,
    perspective: bool,
    grad_barycentric: Tensor | None,
    grad_depth: Tensor | None,
) -> Tensor:
    """Gradient of ``pixels`` by the closed form of ``cpu_kernels.rasterize_backward``."""
    batch = pixels.shape[0]
    none = pixels.new_empty(batch, 0, 0, 3)
    weights = _array(none if grad_barycentric is None else grad_barycentric)
    depths = _array(none[..., 0] if grad_depth is None else grad_depth)
    corners, indices, seen = _array(pixels), _array(faces), _array(triangle)
    bands = _fixed_bands(batch, triangle.shape[1])
    total = np.zeros((len(bands), *pixels.shape[1:]), np.float64)
    tasks = []
    for (i, first, last), part in zip(bands, total, strict=True):
        rows = slice(first, last)
        grads = weights[i, rows], depths[i, rows]
        tasks.append((corners[i], indices, first, seen[i, rows], perspective, *grads, part))
    run_tasks(cpu_kernels.rasterize_backward, tasks)
    return torch.from_numpy(_per_image(total, batch)).to(pixels.dtype)


def interpolate(attributes: Tensor, corners: Tensor, triangle: Tensor, barycentric: Tensor) -> Tensor:
    """Attributes blended at every pixel; 0 where empty."""
    batch, height, width = triangle.shape
    out = _empty((batch, height, width, attributes.shape[2]), attributes.dtype)
    values, indices, seen, weights = (
        _array(attributes),
        _array(corners),
        _array(triangle),
        _array(barycentric),
    )
    target = out.numpy()
    shared = values.shape[0] == 1
    tasks = []
    for image, first, last in _bands(batch, height):
        rows = slice(first, last)
        source = values[0 if shared else image]
        tasks.append((source, indices, seen[image, rows], weights[image, rows], target[image, rows]))
    run_tasks(cpu_kernels.interpolate_band, tasks)
    return out


def interpolate_backward(
    attributes: Tensor,
    corners: Tensor,
    triangle: Tensor,
    barycentric: Tensor,
    grad: Tensor,
    wanted: tuple[bool, bool],
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of the attributes (added up in pixel order) and of the weights."""
    batch = triangle.shape[0]
    grad_weights = torch.empty_like(barycentric, memory_format=torch.contiguous_format)
    values, indices, seen = _array(attributes), _array(corners), _array(triangle)
    weights, incoming, target = _array(barycentric), _array(grad), grad_weights.numpy()
    bands = _fixed_bands(batch, triangle.shape[1])
    total = np.zeros((len(bands), *values.shape[1:]), values.dtype)
    shared = values.shape[0] == 1
    tasks = []
    for (i, first, last), part in zip(bands, total, strict=True):
        source, rows = values[0 if shared else i], slice(first, last)
        views = indices, seen[i, rows], weights[i, rows], incoming[i, rows]
        tasks.append((source, *views, *wanted, part, target[i, rows]))
    run_tasks(cpu_kernels.interpolate_backward, tasks)
    summed = torch.from_numpy(_per_image(total, batch))
    grad_attributes = summed.sum(0, keepdim=True) if shared and batch > 1 else summed
    return grad_attributes if wanted[0] else None, grad_weights if wanted[1] else None


def find_crossings(pixels: Tensor, faces: Tensor, edges: EdgeTable, fragments: Fragments) -> Tensor:
    """Where visible silhouette edges pass between two pixel centres; see ``cpu_silhouettes``."""
    points, indices = _array(pixels), _array(faces)
    ends, sides = _array(edges.vertices), _array(edges.faces)
    seen, depth = _array(fragments.triangle), _array(fragments.depth)
    flags = fragments.perspective, fragments.cull_back_faces
    found: list[np.ndarray] = [np.empty((0, 6), np.int64)] * len(points)

    def search(i: int) -> None:
        capacity = 1024
        while True:
            facing, slot = np.zeros(len(indices), np.int8), np.full((2, *seen[i].shape), -1, np.int32)
            reach, rows = np.empty(capacity), np.empty((capacity, 6), np.int64)
            count = cpu_silhouettes.find_crossings(
                i, points[i], indices, ends, sides, seen[i], depth[i], *flags, facing, slot, reach, rows
            )
            if count <= capacity:
                found[i] = rows[:count]
                return
            capacity = 2 * count

    run_tasks(search, [(i,) for i in range(len(points))])
    return torch.from_numpy(np.concatenate(found))


def _empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    # By numpy, which asks the system for large pages: filling a large batch is then several times as fast.
    return torch.from_numpy(np.empty(shape, _dtype(dtype)))


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


def _dtype(dtype: torch.dtype) -> np.dtype:
    return torch.empty(0, dtype=dtype).numpy().dtype


def _bands(batch: int, height: int) -> list[tuple[int, int, int]]:
    """(image, first row, end row) of tasks: whole images if there are enough of them for all threads."""
    count = max(1, min(-(-thread_count() // max(batch, 1)), height))
    edges = [height * k // count for k in range(count + 1)]
    return [(image, edges[k], edges[k + 1]) for image in range(batch) for k in range(count)]


def _fixed_bands(batch: int, height: int) -> list[tuple[int, int, int]]:
    """Tasks whose sums are added up afterwards: the same ones for any number of threads."""
    if batch == 1:
        return [(0, 0, height // 2), (0, height // 2, height)]
    return [(image, 0, height) for image in range(batch)]


def _per_image(total: np.ndarray, batch: int) -> np.ndarray:
    return total if len(total) == batch else total[:1] + total[1:]
