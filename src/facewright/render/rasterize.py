"""The first primitive: which triangle each pixel sees, and where on it."""

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable

from facewright.core.errors import InputError
from facewright.geometry.mesh import check_faces
from facewright.render.backends import Backend, BackendName, select_backend
from facewright.render.fragments import Fragments

MAX_SIDE = 16384


def rasterize(
    pixels: Float[Tensor, "B V 3"],
    faces: Int64[Tensor, "F 3"],
    size: tuple[int, int],
    *,
    perspective: bool,
    cull_back_faces: bool = False,
    backend: BackendName = "auto",
) -> Fragments:
    """Find the nearest triangle at each pixel centre.

    A pixel on a shared edge belongs to exactly one of the two triangles. At equal depth the lower triangle
    index wins. The choice of triangle has no gradient; barycentric weights and depth have one, in closed
    form, with the triangle held fixed.

    Args:
        pixels: projected vertices (x px, y px, depth mm), from ``Camera.project``. Triangles with a
            coordinate that is not finite are dropped; under perspective also those with a corner at
            depth <= 0.
        faces: vertex indices, counter-clockwise seen from outside.
        size: (height, width) of the image in pixels.
        perspective: True for a perspective camera (weights and depth are then perspective-correct).
        cull_back_faces: drop the triangles seen from behind (clockwise on the image).
        backend: "auto" (numba on the CPU, Warp on CUDA if installed, torch elsewhere), "cpu", "warp",
            "portable" or "reference".

    Returns:
        Fragments: triangle -1 and everything else 0 where the pixel is empty.

    Raises:
        InputError: the size is not a sensible image size, or a face index is out of range.
        UnavailableError: the backend that was asked for is not installed.
    """
    height, width = size
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise InputError(f"size must be (height, width) in [1, {MAX_SIDE}] pixels, got {size}.")
    check_faces(faces, pixels.shape[1])
    kernels = select_backend(backend, pixels.device)
    triangle, barycentric, depth = _Rasterize.apply(
        pixels, faces, size, perspective, cull_back_faces, kernels
    )
    return Fragments(triangle, barycentric, depth, perspective, cull_back_faces)


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        pixels: Tensor,
        faces: Tensor,
        size: tuple[int, int],
        perspective: bool,
        cull: bool,
        kernels: Backend,
    ) -> tuple[Tensor, Tensor, Tensor]:
        triangle, barycentric, depth = kernels.rasterize(pixels.detach(), faces, size, perspective, cull)
        ctx.save_for_backward(pixels, faces, triangle)
        ctx.perspective, ctx.kernels = perspective, kernels
        ctx.mark_non_differentiable(triangle)
        ctx.set_materialize_grads(False)
        return triangle, barycentric, depth

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _triangle: Any, grad_barycentric: Any, grad_depth: Any) -> Any:
        pixels, faces, triangle = ctx.saved_tensors
        if grad_barycentric is None and grad_depth is None:
            return None, None, None, None, None, None
        grad = ctx.kernels.rasterize_backward(
            pixels, faces, triangle, ctx.perspective, grad_barycentric, grad_depth
        )
        return grad, None, None, None, None, None
