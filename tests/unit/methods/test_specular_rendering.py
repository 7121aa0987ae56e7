"""The forward model: half-vectors, lobes, soft light, and the sum of the two pictures."""

from dataclasses import replace

import pytest
import torch

from facewright.image.color import srgb_from_linear
from facewright.methods.specular.rendering import render
from facewright.methods.specular.settings import RenderSettings
from facewright.render.shading import shade_specular, unit
from facewright.scene.lighting import PointLight, ambient_light

SMALL = RenderSettings(size=64)


def test_a_light_at_the_camera_on_a_surface_that_faces_it_gives_all_of_its_highlight():
    points = torch.tensor([[[0.0, 0.0, 1000.0]]])
    lamp = PointLight(torch.zeros(1, 3), torch.ones(1, 3))
    gloss = torch.full((1, 1, 1), 0.3)
    seen = shade_specular(gloss, -unit(points), points, lamp, torch.tensor([37.0]))
    assert torch.allclose(seen, torch.full((1, 1, 3), 0.3), atol=1e-6)
    away = shade_specular(gloss, unit(points), points, lamp, torch.tensor([37.0]))
    assert not away.any()  # lit from behind


def test_a_higher_exponent_makes_a_narrower_lobe_photo_by_photo():
    points = torch.tensor([[0.0, 0.0, 1000.0]]).expand(2, 1, 3)
    lamp = PointLight(torch.zeros(2, 3), torch.ones(2, 3))
    tilted = torch.tensor([0.3, 0.0, -0.954]).expand(2, 1, 3)
    seen = shade_specular(torch.ones(2, 1, 1), tilted, points, lamp, torch.tensor([10.0, 60.0]))
    assert seen[0, 0, 0] > 2 * seen[1, 0, 0] > 0


def test_exponent_and_light_have_the_gradient_of_finite_differences():
    generator = torch.Generator().manual_seed(3)
    points = torch.randn(1, 12, 3, generator=generator, dtype=torch.float64) * 40
    points[..., 2] += 1000
    normals = unit(
        torch.randn(1, 12, 3, generator=generator, dtype=torch.float64) - torch.tensor([0, 0, 2.0])
    )
    gloss = torch.rand(1, 12, 1, generator=generator, dtype=torch.float64)

    def highlight(position, shininess):
        lamp = PointLight(position, torch.ones(1, 3, dtype=torch.float64))
        return shade_specular(gloss, normals, points, lamp, shininess).sum()

    position = torch.tensor([[300.0, -400.0, 100.0]], dtype=torch.float64, requires_grad=True)
    shininess = torch.tensor([18.0], dtype=torch.float64, requires_grad=True)
    assert float(highlight(position, shininess).detach()) > 0.01
    assert torch.autograd.gradcheck(highlight, (position, shininess), eps=1e-4, atol=1e-6)


def test_diffuse_and_highlights_add_up_to_the_whole_picture(model, neutral):
    head = neutral()
    drawn = render(model, head, SMALL)
    whole = srgb_from_linear((drawn.lit + drawn.gloss).clamp(1e-4, 1)) * drawn.fragments.covered[..., None]
    assert torch.allclose(drawn.image, whole, atol=1e-6)
    assert (drawn.specular >= -1e-6).all()
    assert drawn.specular.max() > 0.02
    dark = replace(head, point_light=None)
    assert not render(model, dark, SMALL).specular.any()


def test_light_from_everywhere_shows_the_mean_albedo(model, neutral):
    head = neutral()
    lit = replace(head, light=ambient_light(1, 0.5), point_light=None)
    drawn = render(model, lit, SMALL)
    there = drawn.fragments.covered
    assert there.float().mean() > 0.2
    assert torch.allclose(drawn.lit[there], 0.5 * drawn.albedo[there], atol=1e-5)
    low, high = model.diffuse_mean.min(), model.diffuse_mean.max()
    assert (drawn.albedo[there] >= low - 1e-5).all()
    assert (drawn.albedo[there] <= high + 1e-5).all()


@pytest.mark.parametrize("gamma", ["srgb", "display", "albedo"])
def test_each_gamma_has_gradients_to_everything(model, neutral, gamma):
    head = neutral()
    names = ("identity", "expression", "diffuse", "specular", "shininess")
    wanted = {name: getattr(head, name).clone().requires_grad_() for name in names}
    drawn = render(model, replace(head, **wanted), replace(SMALL, gamma=gamma))
    drawn.image.sum().backward()
    for name, value in wanted.items():
        assert value.grad is not None, name
        assert value.grad.isfinite().all(), name
        assert value.grad.any(), name


def test_without_diffuse_light_of_the_lamp_only_highlights_are_left_of_it(model, neutral):
    head = neutral()
    paper = render(model, head, replace(SMALL, lamp_diffuse=False))
    house = render(model, head, SMALL)
    none = render(model, replace(head, point_light=None), SMALL)
    assert torch.allclose(paper.lit, none.lit)
    assert (house.lit - paper.lit).max() > 0.05
    assert torch.allclose(paper.gloss, house.gloss)
