"""The graph Laplacian as a sparse matrix: how far a function is from its neighbours' mean; and areas."""

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from facewright.geometry.adjacency import edge_table


def uniform_laplacian(faces: Int64[Tensor, "F 3"], vertex_count: int) -> Float[Tensor, "V V"]:
    """Graph Laplacian ``D - A`` as a sparse COO matrix; rows sum to 0, positive semi-definite."""
    ends = torch.unique(edge_table(faces).vertices, dim=0)
    i, j = ends.unbind(1)
    rows, columns = torch.cat([i, j, i, j]), torch.cat([j, i, i, j])
    ones = torch.ones(2 * len(ends), dtype=torch.float32, device=faces.device)
    size = (vertex_count, vertex_count)
    entries = torch.stack([rows, columns]), torch.cat([-ones, ones])
    return torch.sparse_coo_tensor(*entries, size, check_invariants=True).coalesce()


def laplacian_matrix(ends: Int64[ndarray, "M 2"], vertex_count: int) -> sparse.csr_array:
    """``uniform_laplacian`` for SciPy, float64, of edges at hand; one that comes twice counts once."""
    shape = (vertex_count, vertex_count)
    beside = sparse.coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=shape).tocsr()
    beside = beside + beside.T
    beside.data[:] = 1.0
    return sparse.diags_array(beside.sum(1)).tocsr() - beside


def vertex_areas(vertices: Float[Tensor, "V 3"], faces: Int64[Tensor, "F 3"]) -> Float[Tensor, " V"]:
    """Area (mm^2) around each vertex: a third of its triangles' areas."""
    a, b, c = vertices[faces].unbind(1)
    third = torch.linalg.vector_norm(torch.linalg.cross(b - a, c - a), dim=1) / 6
    return vertices.new_zeros(vertices.shape[0]).index_add(0, faces.flatten(), third.repeat_interleave(3))
