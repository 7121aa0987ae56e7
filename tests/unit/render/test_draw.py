"""Texture look-up, visibility, and whole drawings of meshes with known appearance."""

from dataclasses import replace
from importlib import import_module

import pytest
import torch

from facewright.core.errors import InputError
from facewright.geometry.adjacency import EdgeTable, edge_table
from facewright.geometry.mesh import Topology
from facewright.render.draw import DrawSettings, Lighting, draw_mesh, over
from facewright.render.rasterize import rasterize
from facewright.render.texture import texture
from facewright.render.visibility import vertex_visibility
from facewright.scene.camera import PerspectiveCamera, WeakPerspectiveCamera
from facewright.scene.lighting import PointLight, ambient_light
from facewright.scene.material import Material

CAMERA = PerspectiveCamera(torch.tensor([100.0]), torch.tensor([[16.0, 12.0]]), (24, 32))


def quad(x0, y0, x1, y1, z):
    """Two triangles that face the camera at depth z (camera frame), covering pixels x0..x1, y0..y1."""
    corners = torch.tensor([[x0, y1], [x1, y1], [x1, y0], [x0, y0]], dtype=torch.float32)
    scaled = (corners - torch.tensor([16.0, 12.0])) * z / 100
    return torch.cat([scaled, torch.full((4, 1), float(z))], dim=1), torch.tensor([[0, 1, 2], [0, 2, 3]])


def sphere(count=40, radius=60.0, depth=600.0):
    """A closed sphere in the camera frame, counter-clockwise outside."""
    theta, phi = torch.meshgrid(
        torch.linspace(0.05, torch.pi - 0.05, count),
        torch.arange(count) * 2 * torch.pi / count,
        indexing="ij",
    )
    points = torch.stack([theta.sin() * phi.cos(), theta.cos(), theta.sin() * phi.sin()], dim=-1)
    index = torch.arange(count * count).reshape(count, count)
    right = index.roll(-1, 1)
    a, b, c, d = index[:-1], right[:-1], right[1:], index[1:]
    faces = torch.cat([torch.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    vertices = points.reshape(-1, 3) * radius + torch.tensor([0.0, 0.0, depth])
    return vertices, faces


def test_texture_reads_texel_centres_and_its_gradient_reaches_the_map():
    maps = torch.arange(12.0).reshape(1, 3, 4, 1).requires_grad_()
    # Texel (row 2, column 1): u = 1.5 / 4, v = 1 - 2.5 / 3; half-way to column 2 is the mean.
    uv = torch.tensor([[[[1.5 / 4, 0.5 / 3], [2.0 / 4, 0.5 / 3], [-3.0, 9.0]]]])
    looked_up = texture(uv, maps)
    torch.testing.assert_close(looked_up.detach().flatten(), torch.tensor([9.0, 9.5, 0.0]), atol=1e-5, rtol=0)
    looked_up[0, 0, 0].sum().backward()
    assert maps.grad is not None
    assert float(maps.grad[0, 2, 1, 0]) == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(InputError, match="rows"):
        texture(uv, maps.detach().expand(3, -1, -1, -1))


def test_a_textured_quad_shows_its_map_upright():
    vertices, faces = quad(8, 4, 24, 20, 500)
    uv = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    maps = torch.zeros(1, 16, 16, 3)
    maps[0, :8, :, 0] = 1.0  # upper half red
    maps[0, 8:, :8, 1] = 1.0  # lower left green
    drawing = draw_mesh(
        vertices[None],
        Topology(faces, uv, faces),
        CAMERA,
        Material(albedo_map=maps),
        Lighting(ambient_light(1)),
    )[0]
    torch.testing.assert_close(drawing[6, 12], torch.tensor([1.0, 0.0, 0.0, 1.0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(drawing[17, 10], torch.tensor([0.0, 1.0, 0.0, 1.0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(drawing[17, 21], torch.tensor([0.0, 0.0, 0.0, 1.0]), atol=1e-4, rtol=0)
    assert not drawing[1, 1].any()
    white = over(drawing[None], torch.ones(3))[0]
    torch.testing.assert_close(white[1, 1], torch.ones(3))


@pytest.mark.parametrize("kind", ["perspective", "orthographic"])
def test_supersampling_and_antialiasing_agree_on_a_sphere(kind):
    vertices, faces = sphere()
    camera = (
        CAMERA
        if kind == "perspective"
        else WeakPerspectiveCamera(torch.tensor([0.165]), torch.tensor([[16.0, 12.0]]), (24, 32))
    )
    topology = Topology(faces, torch.zeros(1, 2), torch.zeros_like(faces))
    bulb = PointLight(torch.tensor([[-300.0, -300.0, 0.0]]), torch.full((1, 3), 0.5))
    material = Material(specular=torch.full((1, len(vertices)), 0.4))
    drawings = [
        draw_mesh(
            vertices[None], topology, camera, material, Lighting(ambient_light(1, 0.4), bulb), settings=s
        )
        for s in (DrawSettings(8, antialias=False), DrawSettings(), DrawSettings(antialias=False))
    ]
    smooth = (drawings[1] - drawings[0]).abs().mean()
    rough = (drawings[2] - drawings[0]).abs().mean()
    assert float(drawings[0][..., 3].sum()) == pytest.approx(torch.pi * 10**2, rel=0.05)
    assert smooth < 0.5 * rough
    assert drawings[1][0, 8, 12, :3].mean() > drawings[1][0, 16, 20, :3].mean() + 0.1  # lit from above left


def test_the_edges_of_a_topology_are_sorted_once(monkeypatch: pytest.MonkeyPatch):
    vertices, faces = sphere()
    topology, sorted_meshes = Topology(faces, torch.zeros(1, 2), torch.zeros_like(faces)), []

    def counted(faces: torch.Tensor) -> EdgeTable:
        sorted_meshes.append(len(faces))
        return edge_table(faces)

    for module in ("geometry.mesh", "render.antialias"):
        monkeypatch.setattr(import_module(f"facewright.{module}"), "edge_table", counted)
    for drawn in (topology, topology, replace(topology)):  # a copy sorts its own: the count can tell
        draw_mesh(vertices[None], drawn, CAMERA, Material(), Lighting(ambient_light(1)))
        expected = 1 if drawn is topology else 2
        assert len(sorted_meshes) == expected


def test_visibility_sees_the_near_half_of_a_sphere_and_not_what_a_screen_hides():
    vertices, faces = sphere()
    camera = CAMERA.scaled(4)
    pixels = camera.project(vertices[None])
    fragments = rasterize(pixels, faces, camera.size, perspective=True)
    seen = vertex_visibility(fragments, pixels, faces)[0]
    outward = vertices - torch.tensor([0.0, 0.0, 600.0])
    facing = -(outward * vertices).sum(1) / (60 * vertices.norm(dim=1))  # cosine towards the eye
    assert bool(seen[facing > 0.15].all())
    assert not bool(seen[facing < -0.15].any())
    # A screen before the left half hides it.
    screen, screen_faces = quad(0, 0, 16, 24, 300)
    both = torch.cat([vertices, screen])
    both_faces = torch.cat([faces, screen_faces + len(vertices)])
    pixels = camera.project(both[None])
    fragments = rasterize(pixels, both_faces, camera.size, perspective=True)
    behind = vertex_visibility(fragments, pixels, both_faces)[0, : len(vertices)]
    left = pixels[0, : len(vertices), 0] < 63
    right = pixels[0, : len(vertices), 0] > 65
    assert not bool(behind[left].any())
    assert torch.equal(behind[right], seen[right])
    # Vertices outside of the image are not seen.
    moved = pixels + torch.tensor([1000.0, 0.0, 0.0])
    away = rasterize(moved, both_faces, camera.size, perspective=True)
    assert not bool(vertex_visibility(away, moved, both_faces).any())
