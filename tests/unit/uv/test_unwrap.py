"""Unwrapping: a painted head is drawn, its drawing unwrapped, and the paint must be found again."""

from dataclasses import replace

import pytest
import torch
from tests.painted_head import SIZE, shoot

from facewright.core.errors import InputError
from facewright.scene.lighting import PointLight
from facewright.uv import Illumination, UnwrapSettings, UvSamples, unwrap
from facewright.uv.unwrap import SampleBlend


def unwrapped(chart, model, shot, *, lit=True, settings=None):
    illumination = Illumination(shot.light) if lit else None
    return unwrap(
        chart,
        shot.photo,
        shot.vertices,
        model.topology,
        shot.camera,
        illumination=illumination,
        settings=settings or UnwrapSettings(),
    )


def relative_error(samples, truth, sure=0.5):
    known = samples.confidence[..., 0] > sure
    return ((samples.color - truth).abs() / truth)[known]


@pytest.mark.parametrize("yaw", [0.0, 35.0])
def test_albedo_is_found_again_under_side_light(chart, miniature, truth, yaw):
    samples = unwrapped(chart, miniature, shoot(miniature, truth, yaw))
    error = relative_error(samples, truth)
    assert len(error) > 0.1 * SIZE**2
    assert error.median() < 0.015
    assert error.quantile(0.95) < 0.08


def test_light_left_in_is_noticed(chart, miniature, truth):
    error = relative_error(unwrapped(chart, miniature, shoot(miniature, truth), lit=False), truth)
    assert error.median() > 0.05


def test_a_camera_that_is_off_is_noticed(chart, miniature, truth):
    shot = shoot(miniature, truth)
    off = shot._replace(camera=replace(shot.camera, principal=shot.camera.principal + 8))
    assert relative_error(unwrapped(chart, miniature, off), truth).median() > 0.015


def test_back_and_hidden_skin_is_not_known(chart, miniature, truth):
    shot = shoot(miniature, truth)
    samples = unwrapped(chart, miniature, shot)
    confidence = samples.confidence.view(-1)[chart.texel]
    points = chart.gather(miniature.mean)
    assert confidence[points[:, 2] < -20].max() == 0
    # The skin that an eyeball covers, as the camera sees it.
    on_skin = miniature.parts["skin"][chart.corners[:, 0]]
    behind_eye = on_skin & ((points[:, :2] - torch.tensor([31.0, 20.0])).norm(dim=1) < 5) & (points[:, 2] > 0)
    assert int(behind_eye.sum()) > 5
    assert confidence[behind_eye].max() == 0
    careless = unwrapped(chart, miniature, shot, settings=UnwrapSettings(depth_bias=1e4))
    assert careless.confidence.view(-1)[chart.texel][behind_eye].min() > 0.5


def test_outside_the_photo_is_not_known(chart, miniature, truth):
    shot = shoot(miniature, truth, shift=150.0)
    samples = unwrapped(chart, miniature, shot)
    pixels = shot.camera.project(chart.gather(shot.vertices)[None])[0]
    confidence = samples.confidence.view(-1)[chart.texel]
    assert bool((pixels[:, 0] > 320).any())
    assert confidence[pixels[:, 0] > 320].max() == 0
    assert confidence.max() > 0.9


def test_a_large_photo_is_averaged_not_picked(chart, miniature, truth):
    """Noise finer than a texel must average out."""
    shot = shoot(miniature, truth)
    scale = 6
    large = torch.nn.functional.interpolate(shot.photo[None], scale_factor=scale, mode="bilinear")[0]
    noise = torch.randn(large.shape, generator=torch.Generator().manual_seed(0)) * 0.08
    camera = replace(
        shot.camera,
        focal=shot.camera.focal * scale,
        principal=shot.camera.principal * scale,
        size=(320 * scale, 320 * scale),
    )
    noisy = shot._replace(photo=(large + noise).clamp(0, 1), camera=camera)
    error = relative_error(unwrapped(chart, miniature, noisy), truth)
    assert error.median() < 0.05  # one pixel alone is off by 0.2


def test_highlight_of_the_point_light_is_subtracted(chart, miniature, truth):
    from facewright.image.color import srgb_from_linear
    from facewright.render.draw import DrawSettings, Lighting, draw_mesh
    from facewright.scene.material import Material

    bulb = PointLight(torch.tensor([[100.0, -150.0, 100.0]]), torch.full((1, 3), 0.3))
    specular = torch.full((len(miniature.mean),), 0.3)
    shot = shoot(miniature, truth)
    drawing = draw_mesh(
        shot.vertices[None],
        miniature.topology,
        shot.camera,
        Material(albedo_map=truth[None], specular=specular[None], shininess=20.0),
        Lighting(shot.light, bulb),
        settings=DrawSettings(supersample=3),
    )
    photo = srgb_from_linear(drawing[0, ..., :3]).permute(2, 0, 1).contiguous()
    arguments = (chart, photo, shot.vertices, miniature.topology, shot.camera)
    known = unwrap(*arguments, illumination=Illumination(shot.light, bulb, specular, 20.0))
    ignored = unwrap(*arguments, illumination=Illumination(shot.light))
    assert relative_error(known, truth).median() < 0.02
    assert relative_error(ignored, truth).median() > 0.05


def test_a_highlight_that_was_not_there_is_not_taken_off(chart, miniature, truth):
    """A lamp fitted too strong must not leave skin without blue."""
    shot = shoot(miniature, truth)
    bulb = PointLight(torch.tensor([[100.0, -150.0, 100.0]]), torch.full((1, 3), 0.9))
    specular = torch.full((len(miniature.mean),), 0.5)
    albedo = torch.tensor([0.36, 0.23, 0.16]).expand(len(specular), -1)
    arguments = (chart, shot.photo, shot.vertices, miniature.topology, shot.camera)
    blue = {}
    for name, known in (("wary", albedo), ("gullible", None)):
        light = Illumination(shot.light, bulb, specular, 20.0, known)
        samples = unwrap(*arguments, illumination=light)
        color = samples.color[samples.confidence[..., 0] > 0.5]
        blue[name] = float(((color[:, 2] + 0.01) / (color[:, 0] + 0.01)).quantile(0.02))
    assert blue["wary"] > 0.25
    assert blue["gullible"] < 0.15


def blended(*samples):
    blend = SampleBlend()
    for each in samples:
        blend.add(each)
    return blend.result()


def test_a_photo_twice_says_what_it_says_once(chart, miniature, truth):
    once = unwrapped(chart, miniature, shoot(miniature, truth, 20.0))
    hair = torch.rand(*once.confidence.shape, generator=torch.Generator().manual_seed(1))
    once = replace(once, covered=hair)
    twice = blended(once, once)
    known = once.confidence[..., 0] > 0.05
    assert torch.allclose(twice.color[known], once.color[known], atol=1e-5)
    for name in ("confidence", "inside", "covered"):
        assert torch.equal(getattr(twice, name), getattr(once, name)), name
    # What a second photo covers besides is known, too.
    hidden = torch.ones_like(hair)
    covered = blended(once, replace(once, covered=hidden)).covered
    assert covered is not None
    assert torch.equal(covered, hidden)


def test_a_coarse_photo_does_not_blur_a_sharp_one(chart, miniature, truth):
    sharp = replace(unwrapped(chart, miniature, shoot(miniature, truth, 0.0)), texels_a_pixel=1.2)
    noise = 0.1 * torch.randn(*sharp.color.shape, generator=torch.Generator().manual_seed(2))
    coarse = replace(sharp, color=(sharp.color + noise).clamp_min(0), texels_a_pixel=8.0)
    sure = sharp.confidence[..., 0] > 0.5
    off = [
        float((blended(*order).color - sharp.color)[sure].abs().mean() / noise[sure].abs().mean())
        for order in ((sharp, coarse), (coarse, sharp), (sharp, replace(coarse, texels_a_pixel=1.2)))
    ]
    assert max(off[:2]) < 0.05
    assert off[2] > 0.4  # the control: as sharp, it counts as much


def test_two_photos_know_more_than_one(chart, miniature, truth):
    left, right = (unwrapped(chart, miniature, shoot(miniature, truth, yaw)) for yaw in (-50.0, 50.0))
    darker = UvSamples(right.color * 0.7, right.confidence)  # another exposure
    both = blended(left, darker)
    assert (both.confidence > 0.5).sum() > 1.3 * (left.confidence > 0.5).sum()
    assert relative_error(both, truth).median() < 0.03
    assert relative_error(darker, truth).median() > 0.2
    assert blended(left) is left
    # The surest photo sets the brightness, whenever it comes; one that is not is brought to its level.
    sure = UvSamples(left.color, left.confidence)
    unsure = UvSamples(darker.color, darker.confidence * 0.6)
    for order in ((sure, unsure), (unsure, sure)):
        assert relative_error(blended(*order), truth).median() < 0.03


def test_wrong_use_gets_a_clear_line(chart, miniature, truth):
    shot = shoot(miniature, truth)
    with pytest.raises(InputError, match="the photo is"):
        unwrapped(chart, miniature, shot._replace(photo=shot.photo[:, :100]))
    with pytest.raises(InputError, match="at least one photo"):
        blended()
