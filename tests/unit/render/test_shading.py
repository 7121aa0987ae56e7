"""Shading: kernels against the plain formula, known colours, highlights where they belong."""

import inspect
import math

import pytest
import torch
from tests.agreement.closeness import gradient_faults

from facewright.core.errors import InputError
from facewright.fitting.appearance import PixelSamples, predicted
from facewright.render.shading import plain_shade_diffuse, shade_diffuse, shade_point_diffuse, shade_specular
from facewright.scene.lighting import PointLight, SphericalHarmonicsLight, ambient_light, sh_basis


@pytest.mark.parametrize("shape", [(2, 5, 7), (2, 20, 23), (1, 150, 140)])  # in blocks, in several pieces
def test_kernels_agree_with_the_plain_formula_in_values_and_gradients(shape):
    generator = torch.Generator().manual_seed(0)
    albedo = torch.rand(*shape, 3, generator=generator)
    normals = torch.randn(*shape, 3, generator=generator)
    normals[0, 0, :3] = 0.0
    normals[:, shape[1] // 2 : shape[1] // 2 + 2] = 0.0
    light = torch.randn(shape[0], 9, 3, generator=generator)
    weight = torch.randn(*shape, 3, generator=generator)
    results = []
    for shade, dtype in ((plain_shade_diffuse, torch.float64), (shade_diffuse, torch.float32)):
        leaves = [t.to(dtype, copy=True).requires_grad_() for t in (albedo, normals, light)]
        image = shade(leaves[0], leaves[1], SphericalHarmonicsLight(leaves[2]))
        (image * weight.to(dtype)).sum().backward()
        results.append((image.detach(), [leaf.grad for leaf in leaves]))
    torch.testing.assert_close(results[1][0].double(), results[0][0], atol=1e-5, rtol=1e-5)
    assert not results[1][0][0, 0, :3].any()
    for found, expected in zip(results[1][1], results[0][1], strict=True):
        assert not gradient_faults(found, expected)
    assert not results[1][1][1][:, shape[1] // 2].any()
    # Control: swapping two basis functions is caught.
    swapped = results[0][1][2][:, [0, 2, 1, 3, 4, 5, 6, 7, 8]]
    assert gradient_faults(results[1][1][2], swapped)


def test_light_is_never_negative():
    light = ambient_light(1, 0.5)
    light.coefficients[:, 3] = 2.0
    normals = torch.tensor([[[1.0, 0, 0], [-1.0, 0, 0]]]).requires_grad_()
    albedo = torch.full((1, 2, 3), 0.5, requires_grad=True)
    for shade in (shade_diffuse, plain_shade_diffuse):
        colors = shade(albedo, normals, light)
        assert (colors[0, 0] > 0.5).all()
        assert (colors[0, 1] == 0).all()
        found = torch.autograd.grad(colors.sum(), (albedo, normals))
        assert all(bool(grad[0, 0].any()) or grad is found[1] for grad in found)
        assert not any(bool(grad[0, 1].any()) for grad in found)
    assert (light.shading(normals)[0, 1] == 0).all()


def test_constant_light_leaves_the_albedo():
    albedo = torch.rand(1, 4, 3)
    normals = torch.nn.functional.normalize(torch.randn(1, 4, 3), dim=-1)
    torch.testing.assert_close(shade_diffuse(albedo, normals, ambient_light(1)), albedo)
    assert (shade_diffuse(albedo, normals, ambient_light(1, 0.5)) - albedo).abs().max() > 0.01


def test_light_that_would_be_negative_is_none_wherever_it_is_computed():
    generator = torch.Generator().manual_seed(2)
    normals = torch.nn.functional.normalize(torch.randn(1, 200, 3, generator=generator), dim=-1)
    light = SphericalHarmonicsLight(torch.randn(1, 9, 3, generator=generator))
    sums = sh_basis(normals) @ light.coefficients[0]
    assert 100 < int((sums < 0).sum()) < 500  # the case arises
    ones = torch.ones(1, 200, 3)
    pixels = (ones[0], torch.ones(200), normals[0], ones[0], torch.zeros(1, 200, 3))
    gloss = (normals[0], torch.zeros(200), torch.zeros(1, 200))
    sample = PixelSamples(*pixels, *gloss, torch.zeros(200, 3, dtype=torch.bool))
    fitted = predicted(sample, torch.zeros(1), light.coefficients[0])[None]
    for shading in (light.shading(normals), shade_diffuse(ones, normals, light), fitted):
        torch.testing.assert_close(shading, sums.clamp_min(0), atol=1e-5, rtol=0)


def test_one_light_serves_the_batch_but_not_two_for_three():
    albedo, normals = torch.rand(3, 4, 3), torch.randn(3, 4, 3)
    light = SphericalHarmonicsLight(torch.randn(1, 9, 3))
    each = SphericalHarmonicsLight(light.coefficients.expand(3, -1, -1))
    assert torch.equal(shade_diffuse(albedo, normals, light), shade_diffuse(albedo, normals, each))
    with pytest.raises(InputError, match="rows"):
        shade_diffuse(albedo, normals, ambient_light(2))


def test_shapes_that_do_not_belong_together_are_refused_and_nothing_stays_nothing():
    shade = inspect.unwrap(shade_diffuse)  # as users call it, without the shape checks of the tests
    with pytest.raises(InputError, match="one shape"):
        shade(torch.ones(1, 50_000, 3), torch.ones(1, 4, 3), ambient_light(1))
    with pytest.raises(InputError, match="one shape"):
        shade(torch.ones(2, 4, 3), torch.ones(1, 4, 3), ambient_light(1))
    assert shade_diffuse(torch.ones(0, 4, 3), torch.ones(0, 4, 3), ambient_light(1)).shape == (0, 4, 3)
    assert shade_diffuse(torch.ones(2, 0, 3), torch.ones(2, 0, 3), ambient_light(1)).shape == (2, 0, 3)


def test_the_highlight_is_brightest_at_the_mirror_direction():
    # A surface point 1 m ahead, light 45 degrees to the side: the brightest normal is half-way.
    angles = torch.linspace(-60, 60, 121) * math.pi / 180
    normals = torch.stack([torch.sin(angles), torch.zeros(121), -torch.cos(angles)], dim=-1)[None]
    points = torch.tensor([0.0, 0.0, 1000.0]).expand(1, 121, 3)
    light = PointLight(torch.tensor([[1000.0, 0.0, 0.0]]), torch.ones(1, 3))
    lobe = shade_specular(torch.ones(1, 121, 1), normals, points, light, 30.0)[0, :, 0]
    assert float(angles[lobe.argmax()]) == pytest.approx(math.pi / 8, abs=math.pi / 180)
    wide = shade_specular(torch.ones(1, 121, 1), normals, points, light, 5.0)[0, :, 0]
    assert wide.sum() > 1.5 * lobe.sum()
    diffuse = shade_point_diffuse(torch.ones(1, 121, 3), normals, points, light)[0, :, 0]
    assert float(angles[diffuse.argmax()]) == pytest.approx(math.pi / 4, abs=math.pi / 180)
    assert not lobe[angles < -math.pi / 4 - 0.02].any()  # light below the surface
    assert not diffuse[angles < -math.pi / 4 - 0.02].any()
