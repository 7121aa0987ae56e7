"""Discrete Laplace operators as sparse matrices: how far a function is from its neighbours' mean."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.geometry.adjacency import edge_table

MAX_COTANGENT = 50.0  # of an angle of about 1.1 degrees: keeps slivers from dominating


def uniform_laplacian(faces: Int64[Tensor, "F 3"], vertex_count: int) -> Float[Tensor, "V V"]:
    """Graph Laplacian ``D - A`` as a sparse COO matrix; rows sum to 0, positive semi-definite."""
    ends = torch.unique(edge_table(faces).vertices, dim=0)
    weights = torch.ones(len(ends), dtype=torch.float32, device=faces.device)
    return _laplacian(ends, weights, vertex_count)


def cotangent_laplacian(vertices: Float[Tensor, "V 3"], faces: Int64[Tensor, "F 3"]) -> Float[Tensor, "V V"]:
    """Stiffness matrix with cotangent weights as a sparse COO matrix; rows sum to 0.

    **Source:** Pinkall & Polthier 1993, ``w_ij = (cot a_ij + cot b_ij) / 2``.
    **Differs:** cotangents are clipped to +-50, so that slivers do not dominate.
    """
    ends, weights = [], []
    for corner in range(3):
        apex, i, j = faces[:, corner], faces[:, corner - 2], faces[:, corner - 1]
        to_i, to_j = vertices[i] - vertices[apex], vertices[j] - vertices[apex]
        twice_area = torch.linalg.vector_norm(torch.linalg.cross(to_i, to_j), dim=1)
        cotangent = (to_i * to_j).sum(1) / twice_area.clamp_min(1e-12)
        ends.append(torch.stack([i, j], dim=1))
        weights.append(0.5 * cotangent.clamp(-MAX_COTANGENT, MAX_COTANGENT))
    return _laplacian(torch.cat(ends), torch.cat(weights), vertices.shape[0])


def vertex_areas(vertices: Float[Tensor, "V 3"], faces: Int64[Tensor, "F 3"]) -> Float[Tensor, " V"]:
    """Area (mm^2) around each vertex: a third of its triangles' areas."""
    a, b, c = vertices[faces].unbind(1)
    third = torch.linalg.vector_norm(torch.linalg.cross(b - a, c - a), dim=1) / 6
    return vertices.new_zeros(vertices.shape[0]).index_add(0, faces.flatten(), third.repeat_interleave(3))


def _laplacian(ends: Tensor, weights: Tensor, count: int) -> Tensor:
    i, j = ends.unbind(1)
    rows, columns = torch.cat([i, j, i, j]), torch.cat([j, i, i, j])
    values = torch.cat([-weights, -weights, weights, weights])
    return torch.sparse_coo_tensor(
        torch.stack([rows, columns]), values, (count, count), check_invariants=True
    ).coalesce()
