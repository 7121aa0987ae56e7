"""Light from all around: full on a convex thing, little in a slit, none inside of a closed shell."""

import torch

from facewright.geometry.mesh import Topology
from facewright.render.ambient import light_reaching


def ball(radius: float, count: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    """A closed sphere about the origin, counter-clockwise outside."""
    theta = torch.linspace(0, torch.pi, count)
    phi = torch.arange(count) * 2 * torch.pi / count
    theta, phi = torch.meshgrid(theta, phi, indexing="ij")
    points = torch.stack([theta.sin() * phi.cos(), theta.cos(), theta.sin() * phi.sin()], dim=-1)
    index = torch.arange(count * count).reshape(count, count)
    right = index.roll(-1, 1)
    a, b, c, d = index[:-1], right[:-1], right[1:], index[1:]
    faces = torch.cat([torch.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    return radius * points.reshape(-1, 3), faces


def light_on(*meshes: tuple[torch.Tensor, torch.Tensor]) -> list[torch.Tensor]:
    """Light on each of some meshes that stand beside one another."""
    before = torch.tensor([0] + [len(vertices) for vertices, _ in meshes]).cumsum(0).tolist()
    faces = torch.cat([own + first for (_, own), first in zip(meshes, before, strict=False)])
    topology = Topology(faces, torch.zeros(1, 2), torch.zeros_like(faces))
    light = light_reaching(torch.cat([vertices for vertices, _ in meshes]), topology)
    return list(light.split([len(vertices) for vertices, _ in meshes]))


def test_a_ball_is_lit_all_around() -> None:
    (light,) = light_on(ball(60.0))
    assert light.min() > 0.9
    assert light.max() <= 1.0


def test_what_faces_another_thing_closely_is_dark_and_its_back_is_not() -> None:
    vertices, faces = ball(60.0)
    aside = torch.tensor([124.0, 0.0, 0.0])
    first, second = light_on((vertices, faces), (vertices + aside, faces))
    facing, away = vertices[:, 0] > 57, vertices[:, 0] < -30
    assert first[facing].max() < 0.6 < first[away].min()
    torch.testing.assert_close(second[vertices[:, 0] < -57].mean(), first[facing].mean(), atol=0.1, rtol=0)
    # Control: far from one another neither darkens the other.
    alone = light_on((vertices, faces), (vertices + 5 * aside, faces))[0]
    assert alone[facing].min() > 0.75


def test_no_light_comes_into_a_closed_shell() -> None:
    inner, outer = light_on(ball(20.0), ball(60.0))
    assert inner.max() < 0.05
    assert outer.min() > 0.9
