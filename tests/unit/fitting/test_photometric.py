"""Photometric refinement on renderings of which everything is known."""

from dataclasses import replace

import pytest
import torch
from tests.unit.fitting.miniature_head import draw_parameters, landmarks_of

from facewright.core.errors import HiddenFaceError, InputError
from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.photometric import PhotometricFitSettings, refine_photometric
from facewright.fitting.photometric_shape import ShapeSettings
from facewright.image.color import luminance, srgb_from_linear
from facewright.render.draw import Lighting, draw_mesh, over
from facewright.scene.lighting import SphericalHarmonicsLight, ambient_light
from facewright.scene.material import Material

SIZE = (300, 400)


@pytest.fixture(scope="module")
def scene(model):
    """Two persons under light from the side, rendered, and their true parameters."""
    truth = draw_parameters(model, 2, seed=4, focal=1000.0, size=SIZE)
    light = ambient_light(2, 0.8).coefficients.clone()
    light[0, 3], light[1, 3] = 0.5, -0.4
    light[:, 2] = -0.3
    diffuse = torch.tensor([[1.5, -1, 0.5, 1, 0], [-1.5, 1, 1, -0.5, 0.5]])
    truth = replace(truth, diffuse=diffuse, light=SphericalHarmonicsLight(light))
    return truth, photograph(model, truth)


def photograph(model, parameters):
    vertices = model.vertices(parameters.identity, parameters.expression)
    drawing = draw_mesh(
        parameters.pose.camera_from_head(vertices),
        model.topology,
        parameters.camera,
        Material(albedo=model.diffuse_albedo(parameters.diffuse)),
        Lighting(parameters.light),
    )
    return list(srgb_from_linear(over(drawing, torch.tensor([0.1, 0.2, 0.3]))).permute(0, 3, 1, 2))


def fitted(model, basis, truth):
    return fit_landmarks(model, landmarks_of(model, truth), SIZE, focal=truth.camera.focal, basis=basis)


def chroma(albedo):
    return albedo / albedo.mean(-1, keepdim=True)


def test_albedo_and_light_explain_the_photo(model, basis, scene):
    truth, photos = scene
    found = refine_photometric(model, photos, fitted(model, basis, truth))
    again = photograph(model, found.parameters)
    before = photograph(model, fitted(model, basis, truth).parameters)
    for row in range(2):
        face = slice(100, 200), slice(150, 250)
        error = (again[row] - photos[row])[:, face[0], face[1]].abs().mean()
        assert error < 0.02
        assert (before[row] - photos[row])[:, face[0], face[1]].abs().mean() > 3 * error


def test_albedo_is_told_from_light(model, basis, scene):
    truth, photos = scene
    found = refine_photometric(model, photos, fitted(model, basis, truth))
    wrong = chroma(model.diffuse_albedo(truth.diffuse)) - chroma(model.diffuse_mean)
    left = chroma(model.diffuse_albedo(truth.diffuse)) - chroma(
        model.diffuse_albedo(found.parameters.diffuse)
    )
    assert left.abs().mean() < 0.6 * wrong.abs().mean()
    sides = found.parameters.light.coefficients[:, 3].mean(-1)
    assert sides[0] > 0.2
    assert sides[1] < -0.1


def test_a_dark_face_gets_a_dark_albedo(model, basis, scene):
    truth, _ = scene
    dark = replace(
        model, diffuse_basis=torch.cat([model.diffuse_mean[None] * -0.25, model.diffuse_basis[1:]])
    )
    truth = replace(
        truth, diffuse=torch.tensor([[2.0, 0, 0, 0, 0], [-2.0, 0, 0, 0, 0]]), light=ambient_light(2, 0.9)
    )
    found = refine_photometric(dark, photograph(dark, truth), fitted(dark, basis, truth))
    assert found.parameters.diffuse[0, 0] > 0.5
    assert found.parameters.diffuse[1, 0] < -0.5


def test_a_grey_photo_gets_white_light(model, basis, scene):
    truth, photos = scene
    grey = [luminance(photo.permute(1, 2, 0))[None].expand(3, -1, -1).contiguous() for photo in photos]
    found = refine_photometric(model, grey, fitted(model, basis, truth))
    light = found.parameters.light.coefficients
    torch.testing.assert_close(light, light.mean(-1, keepdim=True).expand_as(light))
    colored = refine_photometric(model, photos, fitted(model, basis, truth)).parameters.light.coefficients
    assert (colored - colored.mean(-1, keepdim=True)).abs().max() > 1e-4


def test_an_occluder_counts_little(model, basis, scene):
    truth, photos = scene
    clean = refine_photometric(model, photos, fitted(model, basis, truth))
    covered = [photo.clone() for photo in photos]
    for photo in covered:
        photo[:, 110:135] = torch.tensor([0.0, 0.8, 0.1])[:, None, None]
    found = refine_photometric(model, covered, fitted(model, basis, truth))
    moved = model.diffuse_albedo(found.parameters.diffuse) - model.diffuse_albedo(clean.parameters.diffuse)
    assert moved.abs().mean() < 0.04


def test_photos_of_one_person_share_the_albedo(model, basis, scene):
    truth, _ = scene
    truth = replace(truth, identity=truth.identity[:1].expand(2, -1), diffuse=truth.diffuse[:1].expand(2, -1))
    groups = torch.tensor([4, 4])
    fit = fit_landmarks(
        model, landmarks_of(model, truth), SIZE, focal=truth.camera.focal, basis=basis, groups=groups
    )
    settings = PhotometricFitSettings()
    found = refine_photometric(
        model, photograph(model, truth), fit, groups=groups, basis=basis, settings=settings
    ).parameters
    assert (found.diffuse[0] == found.diffuse[1]).all()
    torch.testing.assert_close(found.identity[0], found.identity[1])
    assert (found.light.coefficients[0] - found.light.coefficients[1]).abs().max() > 0.1


def test_the_shape_follows_the_shading_only_when_asked(model, basis, scene):
    truth, photos = scene
    start = fitted(model, basis, truth)
    settings = PhotometricFitSettings(shape=ShapeSettings(iterations=4))
    found = refine_photometric(model, photos, start, basis=basis, settings=settings)
    true = model.vertices(truth.identity)

    def error(fit):
        return (model.vertices(fit.parameters.identity) - true).norm(dim=-1).mean()

    assert (found.parameters.identity - start.parameters.identity).abs().max() > 1e-3
    assert error(found) < error(start)
    assert found.residual.max() < 0.01
    still = refine_photometric(model, photos, start, settings=PhotometricFitSettings(shape=None))
    assert torch.equal(still.parameters.identity, start.parameters.identity)
    assert torch.equal(still.parameters.pose.rotation, start.parameters.pose.rotation)


@pytest.mark.parametrize(("offsets", "hidden"), [((0.0, 2000.0), (1,)), ((2000.0, 2000.0), (0, 1))])
def test_all_faces_outside_their_photos_are_named_at_once(model, basis, scene, offsets, hidden):
    truth, photos = scene
    fit = fitted(model, basis, truth)
    camera = fit.parameters.camera
    shift = torch.tensor([[offset, 0.0] for offset in offsets])
    away = replace(camera, principal=camera.principal + shift)  # pyright: ignore[reportAttributeAccessIssue]
    moved = replace(
        fit,
        parameters=replace(fit.parameters, camera=away),
        landmarks_px=fit.landmarks_px + shift[:, None],
    )
    quick = PhotometricFitSettings(shape=None)
    refine_photometric(model, photos, fit, basis=basis, settings=quick)  # the control
    with pytest.raises(HiddenFaceError) as caught:
        refine_photometric(model, photos, moved, basis=basis, settings=quick)
    assert caught.value.faces == hidden


def test_wrong_photos_are_refused(model, basis, scene):
    truth, photos = scene
    fit = fitted(model, basis, truth)
    with pytest.raises(InputError, match="holds 2 faces, got 1"):
        refine_photometric(model, photos[:1], fit)
    with pytest.raises(InputError, match="photo 1 should be"):
        refine_photometric(model, [photos[0], photos[1][:, :-1]], fit)


def test_clipped_skin_is_counted_and_does_not_darken_the_face(model, basis, scene):
    truth, photos = scene
    bright = replace(truth, light=SphericalHarmonicsLight(truth.light.coefficients * 2.2))
    fit = fitted(model, basis, truth)
    well = refine_photometric(model, photos, fit)
    burnt = refine_photometric(model, photograph(model, bright), fit)
    dark = refine_photometric(model, [photo * 0.01 for photo in photos], fit)
    assert well.clipped is not None
    assert burnt.clipped is not None
    assert dark.clipped is not None
    assert (well.clipped < 0.02).all()
    assert (burnt.clipped > 0.25).all()
    assert (dark.clipped > 0.9).all()
    alone = burnt.select(1).clipped
    assert alone is not None
    assert torch.equal(alone, burnt.clipped[1:])
    assert fit.clipped is None

    def level(found):
        """Brightness that albedo and light give the middle of the face."""
        normal = torch.tensor([[[0.0, 0.0, -1.0]]]).expand(2, -1, -1)
        shading = found.parameters.light.shading(normal)[:, 0].mean(-1)
        return shading * model.diffuse_albedo(found.parameters.diffuse).mean((1, 2))

    # The photo says at least 0.95 where it is clipped; the fit may say more, as the truth does.
    assert (level(burnt) > 1.7 * level(well)).all()
