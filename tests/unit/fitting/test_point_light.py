"""One hard light a photo: found where there is one, and only there, on renderings of which all is known."""

import math
from dataclasses import replace

import pytest
import torch
from tests.unit.fitting.miniature_head import draw_parameters, landmarks_of

from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.photometric import PhotometricFitSettings, refine_photometric
from facewright.fitting.point_light import PointLightPrior
from facewright.image.color import srgb_from_linear
from facewright.render.draw import Lighting, draw_mesh, over
from facewright.scene.lighting import PointLight, ambient_light
from facewright.scene.material import Material

SIZE = (240, 320)
SOFT = PhotometricFitSettings(shape=None)
HARD = PhotometricFitSettings(point_light=PointLightPrior(), shape=None)
FAR = 1500.0  # mm


@pytest.fixture(scope="module")
def glossy(model):
    return replace(model, specular_basis=torch.full((1, len(model.mean)), 0.06))


@pytest.fixture(scope="module")
def scene(glossy):
    """Two persons under a lamp from the right and from upper left, one dull and one glossy."""
    truth = draw_parameters(glossy, 2, seed=4, focal=800.0, size=SIZE)
    towards = torch.tensor([[0.7, 0.1, -0.7], [-0.4, -0.6, -0.7]])
    towards = towards / towards.norm(dim=-1, keepdim=True)
    bulb = PointLight(truth.pose.translation + FAR * towards, torch.tensor([[0.5], [0.7]]).expand(2, 3))
    return replace(
        truth,
        diffuse=torch.tensor([[1.0, -1, 0.5, 1, 0], [-1.0, 1, 0.5, -0.5, 0.5]]),
        specular=torch.tensor([[-1.5], [3.0]]),
        light=ambient_light(2, 0.5),
        point_light=bulb,
    )


@pytest.fixture(scope="module")
def fits(glossy, basis, scene):
    """The photos' fits under soft light alone and with a point light."""
    fit = fit_of(glossy, basis, scene)
    photos = photograph(glossy, scene)
    return [refine_photometric(glossy, photos, fit, settings=settings) for settings in (SOFT, HARD)]


def photograph(model, parameters):
    vertices = model.vertices(parameters.identity, parameters.expression)
    gloss = model.specular_albedo(parameters.specular)
    drawing = draw_mesh(
        parameters.pose.camera_from_head(vertices),
        model.topology,
        parameters.camera,
        Material(albedo=model.diffuse_albedo(parameters.diffuse), specular=gloss),
        Lighting(parameters.light, parameters.point_light),
    )
    return list(srgb_from_linear(over(drawing, torch.tensor([0.1, 0.2, 0.3]))).permute(0, 3, 1, 2))


def fit_of(model, basis, truth):
    """A fit with the true shape: what is tested is light."""
    fit = fit_landmarks(model, landmarks_of(model, truth), SIZE, focal=truth.camera.focal, basis=basis)
    shape = {"identity": truth.identity, "expression": truth.expression, "pose": truth.pose}
    return replace(fit, parameters=replace(fit.parameters, **shape))


def degrees_between(found, truth):
    """Angles between the lamps' directions, seen from the heads."""
    ways = [each.point_light.position - each.pose.translation for each in (found, truth)]
    return [math.degrees(angle) for angle in torch.cosine_similarity(*ways).clamp(-1, 1).acos().tolist()]


def test_the_lamp_is_found_where_it_stands(scene, fits):
    found = fits[1].parameters
    assert max(degrees_between(found, scene)) < 6
    torch.testing.assert_close(found.point_light.intensity, scene.point_light.intensity, rtol=0.25, atol=0)
    swapped = replace(
        scene, point_light=replace(scene.point_light, position=scene.point_light.position.flip(0))
    )
    assert min(degrees_between(found, swapped)) > 30  # the control


def test_it_explains_what_soft_light_cannot(glossy, scene, fits):
    photos = torch.stack(photograph(glossy, scene))[:, :, 80:160, 120:200]
    dark = PointLight(torch.zeros(2, 3), torch.zeros(2, 3))
    drawn = [replace(f.parameters, point_light=f.parameters.point_light or dark) for f in fits]
    soft, hard = (
        (torch.stack(photograph(glossy, each))[:, :, 80:160, 120:200] - photos).abs().mean((1, 2, 3))
        for each in drawn
    )
    assert (hard < 0.5 * soft).all()


def test_glossy_skin_is_told_from_dull_skin(fits):
    dull, shiny = fits[1].parameters.specular[:, 0].tolist()
    assert dull < 0.2
    assert shiny > dull + 1


def test_soft_light_stays_soft(glossy, basis, scene):
    soft = replace(scene, point_light=PointLight(torch.zeros(2, 3), torch.zeros(2, 3)))
    fit = fit_of(glossy, basis, scene)
    found = refine_photometric(glossy, photograph(glossy, soft), fit, settings=HARD)
    assert found.parameters.point_light is not None
    assert not found.parameters.point_light.intensity.any()
    assert found.select(0).parameters.point_light is None  # no light is not written as one


def test_a_lit_head_keeps_its_lamp_when_it_is_selected(fits):
    assert fits[0].parameters.point_light is None
    one = fits[1].select(1).parameters.point_light
    assert torch.equal(one.position[0], fits[1].parameters.point_light.position[1])


def test_photos_of_one_person_share_the_gloss(glossy, basis, scene):
    same = replace(
        scene,
        identity=scene.identity[:1].expand(2, -1),
        diffuse=scene.diffuse[:1].expand(2, -1),
        specular=torch.full((2, 1), 2.0),
    )
    fit = fit_of(glossy, basis, same)
    groups = torch.tensor([7, 7])
    found = refine_photometric(glossy, photograph(glossy, same), fit, groups=groups, settings=HARD).parameters
    assert torch.equal(found.specular[0], found.specular[1])
    assert torch.equal(found.diffuse[0], found.diffuse[1])
    assert max(degrees_between(found, same)) < 8
    assert found.point_light is not None
    assert (found.point_light.position[0] - found.point_light.position[1]).norm() > 500


def test_a_grey_photo_gets_a_white_lamp(glossy, basis, scene):
    fit = fit_of(glossy, basis, scene)
    grey = [photo.mean(0, keepdim=True).expand(3, -1, -1).contiguous() for photo in photograph(glossy, scene)]
    found = refine_photometric(glossy, grey, fit, settings=HARD).parameters
    assert found.point_light is not None
    intensity = found.point_light.intensity
    assert (intensity[:, 0] > 0.1).all()
    assert torch.equal(intensity, intensity[:, :1].expand(-1, 3))
