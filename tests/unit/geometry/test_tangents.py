"""Tangents of a surface whose map is turned, stretched and sheared."""

import pytest
import torch
from tests.agreement.meshes import bumpy_sheet

from facewright.geometry.mesh import Topology
from facewright.geometry.normals import vertex_normals
from facewright.geometry.tangents import vertex_tangents

MAPS = {
    "straight": [[1.0, 0.0], [0.0, 1.0]],
    "turned": [[0.0, 1.0], [-1.0, 0.0]],
    "mirrored": [[-1.0, 0.0], [0.0, 1.0]],
    "sheared": [[1.0, 0.4], [0.0, 2.0]],
}


@pytest.mark.parametrize("name", MAPS)
def test_tangents_lead_where_the_texture_coordinates_grow(name: str) -> None:
    place, faces = bumpy_sheet(9, 11, seed=0)
    flat = place.clone()
    flat[:, 2] = 0
    uv_of_place = torch.tensor(MAPS[name])
    topology = Topology(faces, flat[:, :2] @ uv_of_place.T, faces)
    normals = vertex_normals(flat[None], faces)
    along_u, across_u = vertex_tangents(flat[None], normals, topology)[0].unbind(1)
    grown_u, grown_v = (along_u[:, :2] @ uv_of_place.T).unbind(-1)
    assert float(grown_u.min()) > 0.1
    torch.testing.assert_close(grown_v, torch.zeros_like(grown_v), atol=1e-5, rtol=0)
    assert float((across_u[:, :2] @ uv_of_place.T)[:, 1].min()) > 0.1
    torch.testing.assert_close((along_u * across_u).sum(-1), torch.zeros(len(place)), atol=1e-5, rtol=0)


def test_tangents_lie_on_a_curved_surface_at_right_angles() -> None:
    place, faces = bumpy_sheet(9, 11, seed=0)
    topology = Topology(faces, place[:, :2].contiguous(), faces)
    normals = vertex_normals(place[None], faces)
    tangents = vertex_tangents(place[None], normals, topology)[0]
    frame = torch.cat([tangents, normals[0][:, None]], 1)
    torch.testing.assert_close(
        frame @ frame.transpose(1, 2), torch.eye(3).expand(len(place), 3, 3), atol=1e-5, rtol=0
    )


def test_a_vertex_without_a_place_on_the_map_has_no_tangent() -> None:
    place, faces = bumpy_sheet(4, 4, seed=0)
    topology = Topology(faces, torch.zeros(len(place), 2), faces)
    normals = vertex_normals(place[None], faces)
    assert not vertex_tangents(place[None], normals, topology).any()
