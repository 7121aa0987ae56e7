"""The second primitive: per-vertex or per-corner attributes spread over the pixels."""

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable

from facewright.core.errors import InputError
from facewright.geometry.mesh import check_faces
from facewright.render.backends import Backend, BackendName, select_backend
from facewright.render.fragments import Fragments


def interpolate(
    fragments: Fragments,
    corners: Int64[Tensor, "F 3"],
    attributes: Float[Tensor, "N V C"],
    *,
    backend: BackendName = "auto",
) -> Float[Tensor, "B H W C"]:
    """Blend the attributes of each pixel's triangle, perspective-correct.

    Gradients reach the attributes, and through ``fragments.barycentric`` the vertex positions.

    Args:
        fragments: what ``rasterize`` found.
        corners: rows into ``attributes`` of each triangle's corners: ``faces`` for per-vertex attributes,
            ``uv_faces`` for texture coordinates.
        attributes: per image, or one row (N = 1) shared by the batch.
        backend: as in ``rasterize``.

    Returns:
        Buffers, 0 where empty.

    Raises:
        InputError: N is neither 1 nor the batch size, a corner is no row of the attributes, or the fragments
            are of another mesh.
    """
    batch = fragments.triangle.shape[0]
    if attributes.shape[0] not in (1, batch):
        raise InputError(f"attributes need 1 or {batch} rows (the batch), got {attributes.shape[0]}.")
    check_faces(corners, attributes.shape[1])
    fragments.check(corners.shape[0])
    kernels = select_backend(backend, attributes.device)
    result: Any = _Interpolate.apply(
        attributes, corners, fragments.triangle, fragments.barycentric.to(attributes.dtype), kernels
    )
    return result


class _Interpolate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, attributes: Tensor, corners: Tensor, triangle: Tensor, weights: Tensor, kernels: Backend
    ) -> Tensor:
        ctx.save_for_backward(attributes, corners, triangle, weights)
        ctx.kernels = kernels
        return kernels.interpolate(attributes.detach(), corners, triangle, weights.detach())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Any) -> Any:
        attributes, corners, triangle, weights = ctx.saved_tensors
        wanted = ctx.needs_input_grad[0], ctx.needs_input_grad[3]
        grad_attributes, grad_weights = ctx.kernels.interpolate_backward(
            attributes, corners, triangle, weights, grad, wanted
        )
        return grad_attributes, None, None, grad_weights, None
