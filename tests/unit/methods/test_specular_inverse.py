"""Inverse rendering of a glossy head: what the uniform loss is for."""

from dataclasses import replace

import torch

from facewright.methods.specular.losses import uniform_loss
from facewright.methods.specular.rendering import render
from facewright.methods.specular.settings import LossSettings, RenderSettings
from facewright.scene.lighting import PointLight, SphericalHarmonicsLight

STEPS = 40
# The paper's renderer: the lamp makes highlights only, so that soft light competes for them.
LOOK = RenderSettings(size=40, lamp_diffuse=False)


def test_highlights_leave_the_diffuse_picture_where_it_is_held_uniform(model, neutral):
    truth = neutral(intensity=1.0, shininess=4.0, lamp=(700.0, -600.0, 300.0))
    photo = render(model, truth, LOOK)
    free = [recovered(model, truth, photo, weight) for weight in (0.0, 5.0)]
    likeness = [_correlation(drawn.gloss, photo.gloss, photo.skin) for drawn in free]
    spread = [float(_variance(drawn)) for drawn in free]
    missed = [float((drawn.gloss - photo.gloss)[photo.skin].detach().abs().mean()) for drawn in free]
    assert likeness[1] > likeness[0]
    assert missed[1] < 0.4 * missed[0]
    assert spread[1] < 0.7 * spread[0]


def recovered(model, truth, photo, weight):
    """Light, lamp and albedo found from the photo, everything else known."""
    at = truth
    light = at.light.coefficients.clone().requires_grad_()
    diffuse, specular = (values.clone().requires_grad_() for values in (at.diffuse, at.specular))
    assert at.point_light is not None
    place = torch.tensor([[0.0, -0.3, -1.0]], requires_grad=True)  # of the lamp, in m
    strength = torch.full((1, 3), 0.2, requires_grad=True)
    unknown = [light, diffuse, specular, place, strength]
    optimiser = torch.optim.Adam(unknown, lr=0.05)
    face = photo.skin[..., None]
    for step in range(STEPS + 1):
        lamp = PointLight(at.pose.translation + 1000 * place, strength.clamp_min(0))
        guess = replace(
            at,
            light=SphericalHarmonicsLight(light),
            diffuse=diffuse,
            specular=specular,
            point_light=lamp,
        )
        drawn = render(model, guess, LOOK)
        if step == STEPS:
            return drawn
        loss = ((drawn.image - photo.image) * face).abs().sum() / face.sum()
        if weight:
            loss = loss + weight * uniform_loss(drawn, light, LossSettings())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    raise AssertionError


def _correlation(found, known, skin):
    pair = torch.stack([found.detach()[skin].mean(-1), known[skin].mean(-1)])
    return float(torch.corrcoef(pair)[0, 1].nan_to_num(0.0))


def _variance(drawn):
    return drawn.lit.detach()[drawn.skin].var(0).sum()
