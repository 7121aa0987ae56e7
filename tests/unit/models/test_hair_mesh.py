"""The mesh of shells: finer where the skin is coarse, round, whole, and laid out without folds."""

import numpy as np
import pytest
import torch

from facewright.geometry.adjacency import edge_table, rim_of
from facewright.models.base import load_base_model
from facewright.models.hair_cap import HairCap
from facewright.models.hair_mesh import LONGEST, HairMesh, HairShell


def sphere(rings=9, around=16, radius=100.0):
    """An open sphere (the south is missing) with edges of some 40 mm: places, triangles."""
    polar = np.radians(np.linspace(8, 140, rings))[:, None]
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False)[None]
    points = radius * np.stack(
        [np.sin(polar) * np.sin(angle), np.cos(polar) + 0 * angle, np.sin(polar) * np.cos(angle)], -1
    )
    index = np.arange(rings * around).reshape(rings, around)
    a, b = index[:-1], index[1:]
    c, d = np.roll(b, -1, 1), np.roll(a, -1, 1)
    faces = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).reshape(-1, 3)
    return points.reshape(-1, 3), faces.astype(np.int64)


@pytest.fixture(scope="module")
def ball():
    points, faces = sphere()
    return points, faces, HairMesh.of(np.arange(len(points)), faces, points)


def test_no_crack_opens_where_edges_are_halved(ball):
    _, faces, mesh = ball
    areas, borders = [], []
    for these, places in ((faces, ball[0]), (mesh.topology.faces.numpy(), ball[0][mesh.parents].mean(1))):
        table = edge_table(torch.from_numpy(these))
        ends = table.vertices[table.faces[:, 1] < 0].numpy()
        borders.append(np.linalg.norm(places[ends[:, 0]] - places[ends[:, 1]], axis=1).sum())
        a, b, c = (places[these[:, k]] for k in range(3))
        areas.append(np.linalg.norm(np.cross(b - a, c - a), axis=1))
    assert borders[0] == pytest.approx(borders[1], rel=1e-9)
    assert areas[0].sum() == pytest.approx(areas[1].sum(), rel=1e-9)  # the same flat surface
    assert areas[1].min() > 0


def test_new_vertices_lie_on_the_round_surface(ball):
    points, faces, mesh = ball
    inner = ~rim_of(faces, len(points))[mesh.parents].any(1)
    new = inner & (np.arange(mesh.count) >= len(points))
    assert new.sum() > 500
    flat = np.linalg.norm(points[mesh.parents].mean(1), axis=1)[new]
    round_ = np.linalg.norm(mesh.rounded(points), axis=1)[new]
    assert np.abs(round_ - 100).mean() < 0.3 * np.abs(flat - 100).mean()
    np.testing.assert_array_equal(mesh.rounded(points)[: len(points)], points)


def test_the_shipped_cap_gets_a_fine_mesh_without_folds():
    model = load_base_model()
    cap = HairCap.of(model)
    assert cap is not None
    mesh, (points, _) = cap.mesh, cap.surface(model.mean)
    ends = edge_table(mesh.topology.faces).vertices.numpy()
    length = np.linalg.norm(np.subtract(*(mesh.spread(points)[ends[:, k]] for k in (0, 1))), axis=1)
    assert np.quantile(length, 0.999) < 1.3 * LONGEST
    uv = mesh.topology.uv.numpy()
    assert uv.min() >= 0
    assert uv.max() <= 1
    a, b, c = (uv[mesh.topology.faces.numpy()[:, k]] for k in range(3))
    turn = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    assert ((turn > 0) == (np.median(turn) > 0)).mean() > 0.999
    whorl = np.linalg.norm(uv - 0.5, axis=1).argmin()
    assert mesh.spread(cap.height)[whorl] > 85  # it is up on the head, a little behind
    assert abs(mesh.spread(points)[whorl, 0]) < 10


def test_a_shell_follows_the_skin_below_it(ball):
    points, _, mesh = ball
    generator = torch.Generator().manual_seed(0)
    offset = torch.rand(mesh.count, 3, generator=generator)
    shell = HairShell(mesh, offset, torch.ones(mesh.count))
    head = torch.from_numpy(points).float()
    moved = head.clone()
    moved[5] += 12.0
    change = shell.on(moved) - shell.on(head)
    share = (mesh.parents == 5).mean(1)
    torch.testing.assert_close(
        change, 12.0 * torch.from_numpy(share).float()[:, None].expand(-1, 3), atol=1e-4, rtol=0
    )
    assert float(change.abs().sum()) > 12.0
