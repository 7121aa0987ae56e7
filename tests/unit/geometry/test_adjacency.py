"""Edges and Laplacians of meshes small enough to know."""

import numpy as np
import torch

from facewright.geometry.adjacency import edge_table, rim_of
from facewright.geometry.laplacian import laplacian_matrix, uniform_laplacian, vertex_areas

SQUARE = torch.tensor([[0, 1, 2], [0, 2, 3]])


def test_two_triangles_have_five_edges_and_share_one():
    table = edge_table(SQUARE)
    assert table.vertices.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [2, 3]]
    assert table.faces.tolist() == [[0, -1], [0, 1], [1, -1], [0, -1], [1, -1]]


def test_a_closed_mesh_has_no_border_and_an_edge_of_three_counts_for_each():
    tetrahedron = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])
    table = edge_table(tetrahedron)
    assert len(table.vertices) == 6
    assert bool((table.faces >= 0).all())
    book = torch.tensor([[0, 1, 2], [0, 1, 3], [0, 1, 4]])
    spine = edge_table(book)
    on_spine = (spine.vertices == torch.tensor([0, 1])).all(1)
    assert spine.faces[on_spine].tolist() == [[0, -1], [1, -1], [2, -1]]


def test_the_rim_is_where_a_surface_ends_and_not_where_three_triangles_meet():
    # A fan around vertex 0, whose rim is all but its middle; and a page that stands on one of its spokes.
    fan = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 1]])
    assert rim_of(fan, 6).tolist() == [False, True, True, True, True, False]
    page = np.concatenate([fan, [[0, 1, 5]]])
    assert rim_of(page, 6).tolist() == [True, True, True, True, True, True]
    closed = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])
    assert not rim_of(closed, 4).any()
    on_spine = np.concatenate([closed, [[0, 1, 4], [1, 0, 5], [4, 1, 5], [5, 0, 4]]])
    assert not rim_of(on_spine, 6).any()
    assert not rim_of(np.empty((0, 3), dtype=np.int64), 0).any()


def test_no_triangle_has_no_edge():
    assert edge_table(torch.empty(0, 3, dtype=torch.int64)).vertices.shape == (0, 2)


def test_the_graph_laplacian_kills_constants_and_areas_sum_up_to_the_surface():
    side = 6
    y, x = torch.meshgrid(torch.linspace(0, 1, side), torch.linspace(0, 2, side) ** 1.5, indexing="ij")
    vertices = torch.stack([x, y, 0.3 * x - y], dim=-1).reshape(-1, 3)
    corner = torch.arange((side - 1) * side).reshape(side - 1, side)[:, :-1].reshape(-1)
    faces = torch.cat(
        [
            torch.stack([corner, corner + 1, corner + side + 1], dim=1),
            torch.stack([corner, corner + side + 1, corner + side], dim=1),
        ]
    )
    inner = torch.zeros(side, side, dtype=torch.bool)
    inner[1:-1, 1:-1] = True
    graph = uniform_laplacian(faces, side * side).to_dense()
    ends = edge_table(faces).vertices.numpy()
    for edges in (ends, np.concatenate([ends, ends[:5]])):
        np.testing.assert_array_equal(laplacian_matrix(edges, side * side).toarray(), graph.numpy())
    assert not (graph @ torch.ones(side * side)).any()
    assert torch.equal(graph, graph.T)
    # Control: it does not kill linear functions on an uneven grid.
    assert (graph @ vertices)[inner.flatten()].abs().max() > 1e-2
    area = (2**1.5) * (1 + 0.09 + 1) ** 0.5
    torch.testing.assert_close(float(vertex_areas(vertices, faces).sum()), area, rtol=1e-5, atol=0)
