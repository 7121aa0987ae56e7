"""Shading moves the base head towards the truth where landmarks are noisy, and only under the right light."""

from dataclasses import replace

import pytest
import torch

from facewright.fitting.face_crop import crop_faces
from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.landmark_basis import landmark_basis
from facewright.fitting.photometric import PhotometricFitSettings, refine_photometric
from facewright.fitting.photometric_shape import refine_shape
from facewright.fitting.settings import LandmarkFitSettings
from facewright.geometry.rotation import rotation_from_axis_angle
from facewright.image.color import srgb_from_linear
from facewright.models.base import load_base_model
from facewright.render.draw import Lighting, draw_mesh
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import SphericalHarmonicsLight, ambient_light
from facewright.scene.material import Material
from facewright.scene.parameters import HeadParameters
from facewright.scene.pose import Pose

SIZE = (240, 240)
NOISE = 0.015  # mean distance of the landmarks from the truth, of the outer eye distance
PRECISION = 3e5


@pytest.fixture(scope="module")
def model():
    return load_base_model()


@pytest.fixture(scope="module")
def scene(model):
    """Two heads under light from the side, their photos, and the fit to their noisy landmarks."""
    generator = torch.Generator().manual_seed(3)
    turn = torch.tensor([[0.05, 0.3, 0.0], [-0.1, -0.2, 0.05]])
    light = ambient_light(2, 0.75).coefficients.clone()
    light[:, 1:3] -= 0.25
    light[:, 3] += torch.tensor([0.5, -0.5])[:, None]
    camera = PerspectiveCamera(torch.full((2,), 780.0), torch.full((2, 2), 120.0), SIZE)
    truth = HeadParameters(
        identity=torch.randn(2, model.identity_count, generator=generator),
        expression=model.expression_prior.mean.clamp(0, 1).expand(2, -1).clone(),
        diffuse=0.7 * torch.randn(2, model.diffuse_count, generator=generator),
        specular=torch.zeros(2, model.specular_count),
        pose=Pose(
            rotation_from_axis_angle(turn) @ torch.diag(torch.tensor([1.0, -1, -1])),
            torch.tensor([[0.0, 0, 900]]).repeat(2, 1),
        ),
        camera=camera,
        light=SphericalHarmonicsLight(light),
    )
    vertices = model.vertices(truth.identity, truth.expression)
    drawing = draw_mesh(
        truth.pose.camera_from_head(vertices),
        model.topology,
        truth.camera,
        Material(albedo=model.diffuse_albedo(truth.diffuse)),
        Lighting(truth.light),
    )
    photos = list(srgb_from_linear(drawing[..., :3]).permute(0, 3, 1, 2))
    points = truth.pose.camera_from_head(model.landmark_points(vertices, "dense478"))
    pixels = truth.camera.project(points)[..., :2]
    eyes = (pixels[:, 33] - pixels[:, 263]).norm(dim=-1)[:, None, None]
    noise = torch.randn(pixels.shape, generator=generator) * NOISE / 1.2533  # mean length of a 2D Gaussian
    basis = landmark_basis(model)
    fit = fit_landmarks(model, pixels + noise * eyes, SIZE, focal=camera.focal, basis=basis)
    return truth, photos, fit, basis


def shape_error(model, parameters, truth):
    """Mean distance (mm) of the neutral faces after a similarity, as one photo does not tell the size."""
    face = model.regions["face"]
    errors = []
    for found, true in zip(model.vertices(parameters.identity), model.vertices(truth.identity), strict=True):
        a, b = found[face] - found[face].mean(0), true[face] - true[face].mean(0)
        u, s, vh = torch.linalg.svd(a.T @ b)
        errors.append((a @ u @ vh * (s.sum() / (a**2).sum()) - b).norm(dim=-1).mean())
    return torch.stack(errors)


def refined(model, scene, light, diffuse):
    _, photos, fit, basis = scene
    start = replace(fit, parameters=replace(fit.parameters, light=light, diffuse=diffuse))
    how = (basis, LandmarkFitSettings(), PRECISION, 4)
    return refine_shape(model, crop_faces(photos, fit, 96), start, torch.arange(2), how)


def test_shading_under_known_light_improves_the_shape(model, scene):
    truth, _, fit, _ = scene
    before = shape_error(model, fit.parameters, truth)
    after = shape_error(model, refined(model, scene, truth.light, truth.diffuse), truth)
    assert (after < 0.95 * before).all(), after / before
    # Controls: light from the wrong side, or another person's skin, must not pass.
    mirrored = truth.light.coefficients * torch.tensor([1.0, 1, 1, -1, -1, 1, 1, -1, 1])[:, None]
    wrong = shape_error(model, refined(model, scene, SphericalHarmonicsLight(mirrored), truth.diffuse), truth)
    assert (wrong > 0.95 * before).all(), wrong / before
    wrong = shape_error(model, refined(model, scene, truth.light, -truth.diffuse), truth)
    assert (wrong > 0.95 * before).any(), wrong / before


def test_shading_improves_the_shape_when_light_and_albedo_are_found_too(model, scene):
    truth, photos, fit, basis = scene
    before = shape_error(model, fit.parameters, truth)
    settings = PhotometricFitSettings(shape_iterations=4, shape_precision=PRECISION)
    after = shape_error(
        model, refine_photometric(model, photos, fit, basis=basis, settings=settings).parameters, truth
    )
    assert (after < 0.97 * before).all(), after / before
    assert after.mean() < 0.95 * before.mean(), after / before
    # Control: without pixels that count, landmarks alone do not get there.
    blind = replace(settings, shape_precision=0.0)
    alone = shape_error(
        model, refine_photometric(model, photos, fit, basis=basis, settings=blind).parameters, truth
    )
    assert alone.mean() > 0.95 * before.mean(), alone / before
