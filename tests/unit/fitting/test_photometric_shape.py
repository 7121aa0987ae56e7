"""Shading moves the base head towards the truth where landmarks are noisy, and only under the right light."""

from dataclasses import replace

import pytest
import torch

from facewright.fitting.face_crop import crop_faces
from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.landmark_basis import landmark_basis
from facewright.fitting.photometric import PhotometricFitSettings, refine_photometric
from facewright.fitting.photometric_shape import ShapeSettings, refine_shape
from facewright.fitting.shading_residual import (
    MovedSurface,
    difference,
    photo_views,
    rings,
    shape_jacobian,
)
from facewright.fitting.shading_samples import Appearance, patch_weights, surface_samples
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
SHAPE = ShapeSettings(iterations=4)


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
    return refine_shape(model, crop_faces(photos, fit, 96), start, torch.arange(2), basis, None, SHAPE)


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


def test_shading_that_tells_nothing_changes_nothing(model, scene):
    truth, photos, fit, basis = scene
    start = replace(fit, parameters=replace(fit.parameters, light=truth.light, diffuse=truth.diffuse))
    crops, person = crop_faces(photos, fit, 96), torch.arange(2)
    blind = refine_shape(model, crops, start, person, basis, None, replace(SHAPE, pixels=0.0))
    assert torch.equal(blind.identity, fit.parameters.identity)
    assert torch.equal(blind.expression, fit.parameters.expression)
    # The same photos with stripes that no light explains move the shape far less than the clean ones.
    striped = [photo.clone() for photo in photos]
    for photo in striped:
        photo[:, torch.arange(photo.shape[1]) % 24 < 12] *= 0.6
    moved = [
        (refine_shape(model, crop_faces(which, fit, 96), start, person, basis, None, SHAPE).identity)
        - fit.parameters.identity
        for which in (photos, striped)
    ]
    assert moved[1].norm() < 0.5 * moved[0].norm(), (moved[0].norm(), moved[1].norm())


def test_the_jacobian_is_that_of_the_residuals(model, scene):
    truth, photos, fit, _ = scene
    parameters = replace(fit.parameters, light=truth.light, diffuse=truth.diffuse)
    crops = crop_faces(photos, fit, 96)
    patches, faces = patch_weights(model), model.topology.faces
    albedo = model.diffuse_albedo(truth.diffuse)
    appearance = Appearance(truth.light.coefficients, truth.diffuse, albedo, None, patches, 0.02)
    samples = surface_samples(model, crops, appearance, parameters)[0]
    view = photo_views(crops, truth.light.coefficients)[0]
    pose = parameters.pose.rotation[0], parameters.pose.translation[0]
    shape = model.identity_basis[:20].flatten(1).mT.contiguous()
    surface = MovedSurface(faces, rings(faces, len(model.mean)), shape)

    def found(change):
        identity = parameters.identity[:1].clone()
        identity[:, :20] += change
        vertices = model.vertices(identity, parameters.expression[:1])
        camera = vertices[0] @ pose[0].mT + pose[1]
        return camera, difference(view, samples, camera, faces)

    direction = torch.randn(20, generator=torch.Generator().manual_seed(0))
    step = 0.02
    there, back = (found(sign * step * direction)[1].residual for sign in (1, -1))
    camera, here = found(torch.zeros(20))
    jacobian = shape_jacobian(here, samples, camera, surface, *pose)
    numeric, analytic = (there - back) / (2 * step), jacobian[:, 6:] @ direction
    assert (numeric - analytic).norm() < 0.1 * numeric.norm(), (numeric - analytic).norm() / numeric.norm()
    # Control: neither the turning of normals nor the sliding of the photo may be left out.
    for part in ("pull", "slide"):
        without = replace(here, **{part: torch.zeros_like(getattr(here, part))})
        partial = shape_jacobian(without, samples, camera, surface, *pose)
        assert (numeric - partial[:, 6:] @ direction).norm() > 0.15 * numeric.norm()


def test_shading_improves_the_shape_when_light_and_albedo_are_found_too(model, scene):
    truth, photos, fit, basis = scene
    before = shape_error(model, fit.parameters, truth)
    settings = PhotometricFitSettings(shape=SHAPE)
    after = shape_error(
        model, refine_photometric(model, photos, fit, basis=basis, settings=settings).parameters, truth
    )
    assert (after < 0.97 * before).all(), after / before
    assert after.mean() < 0.95 * before.mean(), after / before
    # Control: without pixels that count, landmarks alone do not get there.
    blind = replace(settings, shape=replace(SHAPE, pixels=0.0))
    alone = shape_error(
        model, refine_photometric(model, photos, fit, basis=basis, settings=blind).parameters, truth
    )
    assert alone.mean() > 0.95 * before.mean(), alone / before
