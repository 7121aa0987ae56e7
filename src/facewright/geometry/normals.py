"""Vertex normals, differentiable: numba kernels on the CPU, the same sums in torch elsewhere."""

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable

from facewright.core.threads import run_tasks
from facewright.geometry.mesh import check_faces


def vertex_normals(vertices: Float[Tensor, "B V 3"], faces: Int64[Tensor, "F 3"]) -> Float[Tensor, "B V 3"]:
    """Unit normals at the vertices, weighted by the areas of the triangles around; outward for CCW faces.

    Any frame: the normals are in the frame of the vertices. A vertex without a triangle of positive area gets
    the zero vector, and no gradient.

    Raises:
        InputError: a face index is out of range.
    """
    check_faces(faces, vertices.shape[1])
    if vertices.device.type == "cpu":
        result: Any = _VertexNormals.apply(vertices, faces)
        return result
    return _plain_vertex_normals(vertices, faces)


def face_normals(vertices: Float[Tensor, "B V 3"], faces: Int64[Tensor, "F 3"]) -> Float[Tensor, "B F 3"]:
    """Normals of the triangles, each as long as twice the triangle's area (mm^2)."""
    a, b, c = vertices[:, faces].unbind(2)
    return torch.linalg.cross(b - a, c - a)


def _plain_vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    sums = torch.zeros_like(vertices)
    per_corner = face_normals(vertices, faces)
    # On CUDA index_put sorts before it accumulates (a fixed order of additions); index_add does not.
    for corner in range(3):
        batch = torch.arange(vertices.shape[0], device=vertices.device)[:, None].expand(-1, faces.shape[0])
        index = (batch, faces[:, corner].expand(vertices.shape[0], -1))
        sums = sums.index_put(index, per_corner, accumulate=True)
    length = torch.linalg.vector_norm(sums, dim=-1, keepdim=True)
    filled = length > 0
    safe = torch.where(filled, sums, torch.ones_like(sums))
    return torch.where(filled, safe / torch.linalg.vector_norm(safe, dim=-1, keepdim=True), 0.0)


class _VertexNormals(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vertices: Tensor, faces: Tensor) -> Tensor:
        from facewright.geometry import normals_kernels

        points, indices = vertices.detach().contiguous(), faces.contiguous()
        normals, lengths = torch.empty_like(points), points.new_empty(points.shape[:2])
        views = points.numpy(), normals.numpy(), lengths.numpy()
        run_tasks(
            normals_kernels.accumulate,
            [(views[0][i], indices.numpy(), views[1][i], views[2][i]) for i in range(len(points))],
        )
        ctx.save_for_backward(points, indices, normals, lengths)
        return normals

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Any) -> Any:
        from facewright.geometry import normals_kernels

        points, indices, normals, lengths = (saved.numpy() for saved in ctx.saved_tensors)
        incoming = grad.contiguous().numpy()
        result = torch.zeros(points.shape, dtype=grad.dtype)
        target = result.numpy()
        run_tasks(
            normals_kernels.accumulate_backward,
            [
                (points[i], indices, normals[i], lengths[i], incoming[i], target[i])
                for i in range(len(points))
            ],
        )
        return result, None
