"""Vertex normals: a sphere's, outward, and the kernels' gradient against autograd on the plain formula."""

import pytest
import torch
from tests.agreement.closeness import gradient_faults
from tests.agreement.meshes import bumpy_sheet

from facewright.core.errors import InputError
from facewright.geometry.normals import _plain_vertex_normals, face_normals, vertex_normals


def test_a_tetrahedron_points_outward():
    vertices = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])
    normals = vertex_normals(vertices[None], faces)[0]
    torch.testing.assert_close(normals, vertices / 3**0.5)
    flipped = vertex_normals(vertices[None], faces.flip(1))[0]
    torch.testing.assert_close(flipped, -normals)
    assert float(face_normals(vertices[None], faces)[0, 0].norm()) == pytest.approx(2 * 2 * 3**0.5)


def test_kernels_agree_with_the_plain_formula_in_values_and_gradients():
    base, faces = bumpy_sheet(9, 11, seed=0)
    vertices = torch.stack([base, base * torch.tensor([1.0, 0.7, 1.3])])
    lonely = torch.zeros(2, 1, 3)  # a vertex of no triangle
    vertices = torch.cat([vertices, lonely], dim=1)
    weight = torch.randn(vertices.shape, generator=torch.Generator().manual_seed(0))
    results = []
    for compute, dtype in ((_plain_vertex_normals, torch.float64), (vertex_normals, torch.float32)):
        leaf = vertices.to(dtype, copy=True).requires_grad_()
        normals = compute(leaf, faces)
        (normals * weight.to(dtype)).sum().backward()
        results.append((normals.detach(), leaf.grad))
    torch.testing.assert_close(results[1][0].double(), results[0][0], atol=1e-5, rtol=0)
    assert not results[1][0][:, -1].any()
    assert not gradient_faults(results[1][1], results[0][1])
    assert gradient_faults(results[1][1] * 1.01, results[0][1])  # control


@pytest.mark.parametrize("index", [-1, 4, 1 << 40])
def test_indices_that_point_nowhere_are_refused(index: int):
    faces = torch.tensor([[0, 1, 2], [0, 2, index]])
    with pytest.raises(InputError, match="face indices"):
        vertex_normals(torch.rand(1, 4, 3), faces)
    assert vertex_normals(torch.rand(1, 4, 3), torch.tensor([[0, 1, 2], [0, 2, 3]])).isfinite().all()
