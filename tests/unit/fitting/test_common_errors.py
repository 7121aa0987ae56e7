"""Landmarks that err together do not become shape."""

from dataclasses import replace

import pytest
import torch
from tests.unit.fitting.miniature_head import draw_parameters, landmarks_of

from facewright.core.assets import write_safetensors
from facewright.core.errors import AssetError
from facewright.detection.landmark_errors import LandmarkErrors, load_landmark_errors, upright_frames
from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.landmark_basis import landmark_basis
from facewright.fitting.settings import LandmarkFitSettings
from facewright.fitting.start import State
from facewright.fitting.subspace import resizing

SIZE = (600, 800)
SETTINGS = LandmarkFitSettings(landmark_std=0.5, common_errors=1.0, iterations=8)


@pytest.fixture(scope="module")
def errors(model):
    """Four smooth error fields of 5 % of the face's radius."""
    generator = torch.Generator().manual_seed(2)
    points = model.landmark_points(model.mean, "dense478") / 60
    wave = torch.randn(4, 3, 2, generator=generator)
    fields = torch.sin(points @ wave + torch.rand(4, 1, 2, generator=generator) * 6)
    return LandmarkErrors(torch.zeros(478, 2), 0.05 * fields / fields.square().mean((1, 2), True).sqrt())


@pytest.fixture(scope="module")
def aware(model, errors):
    return landmark_basis(model, errors)


@pytest.fixture(scope="module")
def people(model):
    return draw_parameters(model, 24, seed=4)


def disturbed(pixels, errors, generator):
    turn, radius = upright_frames(pixels)
    amount = torch.randn(len(pixels), len(errors.modes), generator=generator)
    shift = torch.einsum("br,rld->bld", amount, errors.modes) + errors.mean
    return pixels + (shift * radius[:, None, None]) @ turn.mT


def shape_error(model, fit, truth):
    found = model.vertices(fit.parameters.identity)
    return (found - model.vertices(truth.identity)).norm(dim=-1).mean()


def test_known_common_errors_are_taken_out_of_the_shape(model, basis, aware, errors, people):
    pixels = disturbed(landmarks_of(model, people), errors, torch.Generator().manual_seed(0))
    focal = people.camera.focal
    trusting = fit_landmarks(model, pixels, SIZE, focal=focal, basis=basis, settings=SETTINGS)
    wise = fit_landmarks(model, pixels, SIZE, focal=focal, basis=aware, settings=SETTINGS)
    assert shape_error(model, wise, people) < 0.7 * shape_error(model, trusting, people)
    # Control: errors that are taken to be of no size leave the fit as it is without them.
    none = replace(SETTINGS, common_errors=0.0)
    blind = fit_landmarks(model, pixels, SIZE, focal=focal, basis=aware, settings=none)
    torch.testing.assert_close(blind.parameters.identity, trusting.parameters.identity, atol=1e-3, rtol=0)


def test_the_mean_error_is_taken_off(model, basis, people):
    generator = torch.Generator().manual_seed(7)
    mean = LandmarkErrors(torch.randn(478, 2, generator=generator) * 0.05, torch.zeros(1, 478, 2))
    pixels = landmarks_of(model, people)
    shifted = disturbed(pixels, mean, generator)

    fits = [
        fit_landmarks(model, points, SIZE, focal=people.camera.focal, basis=b).parameters.identity
        for points, b in ((pixels, basis), (shifted, landmark_basis(model, mean)), (shifted, basis))
    ]
    # The frames are those of the shifted points, so a little remains.
    assert (fits[1] - fits[0]).abs().mean() < 0.25 * (fits[2] - fits[0]).abs().mean()


def test_errors_turn_with_the_face(model, basis, aware, errors, people):
    pixels = disturbed(landmarks_of(model, people), errors, torch.Generator().manual_seed(0))
    middle = torch.tensor([SIZE[1] / 2, SIZE[0] / 2])
    angle = torch.tensor(1.2)
    roll = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    rolled = (pixels - middle) @ roll.T + middle
    focal = people.camera.focal
    trusting = fit_landmarks(model, rolled, SIZE, focal=focal, basis=basis, settings=SETTINGS)
    wise = fit_landmarks(model, rolled, SIZE, focal=focal, basis=aware, settings=SETTINGS)
    assert shape_error(model, wise, people) < 0.7 * shape_error(model, trusting, people)


def test_resizing_leaves_the_image_as_it_is(model, basis, people):
    """A larger head further away gives the same image: only the prior tells the size."""
    pose = people.pose
    state = State(pose.rotation, pose.translation, people.identity, people.expression)
    grown = resizing(basis, state).scaled(torch.full((24,), 0.05), torch.arange(24)).applied(state)

    def image(state):
        points = basis.points(state.coefficients(torch.arange(24)))[..., : basis.count]
        camera = state.rotation @ points + state.translation[..., None]
        return camera[:, :2] / camera[:, 2:]

    moved = (image(grown) - image(state)).norm(dim=1).mean()
    # Control: the same shift without growth.
    shrunk = (image(replace(grown, identity=state.identity)) - image(state)).norm(dim=1).mean()
    assert moved < 0.6 * shrunk
    assert (grown.translation[:, 2] > state.translation[:, 2] * 1.03).all()


def test_a_damaged_statistic_is_refused(tmp_path, errors):
    path = tmp_path / "errors.safetensors"
    write_safetensors(path, {"mean": errors.mean, "modes": errors.modes}, {})
    assert load_landmark_errors(path).modes.shape == (4, 478, 2)
    write_safetensors(path, {"mean": errors.mean, "modes": errors.modes[:, :68]}, {})
    with pytest.raises(AssetError, match="measure_landmark_errors"):
        load_landmark_errors(path)
    write_safetensors(path, {"mean": errors.mean * torch.nan, "modes": errors.modes}, {})
    with pytest.raises(AssetError, match="finite"):
        load_landmark_errors(path)
