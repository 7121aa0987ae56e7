"""The photo's lips and lids go where the fit has its own."""

from dataclasses import replace

import pytest
import torch
from tests.painted_head import SIZE, shoot

from facewright.models.face_model import LandmarkSet
from facewright.scene.parameters import HeadParameters
from facewright.uv import HeadChart, TextureSettings, unwrap_photo
from facewright.uv.landmark_shift import landmark_shift
from facewright.uv.unwrap import Sight

SHIFT = torch.tensor([4.0, -3.0])


@pytest.fixture(scope="module")
def model(miniature):
    """With landmarks all over its skin; the last one slides."""
    skin = miniature.parts["skin"][miniature.topology.faces].all(1).nonzero()[::3, 0]
    sliding = torch.zeros(len(skin), dtype=torch.bool)
    sliding[-1] = True
    marks = LandmarkSet(skin, torch.full((len(skin), 3), 1 / 3), sliding)
    return replace(miniature, landmarks={**miniature.landmarks, "many": marks})


def fit_of(shot):
    zeros = torch.zeros
    return HeadParameters(
        zeros(1, 3), zeros(1, 52), zeros(1, 1), zeros(1, 1), shot.pose, shot.camera, shot.light
    )


def projected(model, shot):
    marks = model.landmarks["many"]
    return shot.camera.project(marks.on(shot.vertices[None], model.topology.faces))[0, :, :2]


def test_landmarks_that_lie_on_the_fit_move_nothing(model, truth):
    shot = shoot(model, truth)
    shift = landmark_shift(model, fit_of(shot), projected(model, shot), "many")
    assert float(shift.abs().max()) < 1e-3


def test_a_shift_of_all_landmarks_is_found_and_one_that_slides_or_looks_away_tells_nothing(model, truth):
    shot = shoot(model, truth)
    detected = projected(model, shot) + SHIFT
    marks = model.landmarks["many"]
    away = marks.on(model.mean[None], model.topology.faces)[0, :, 2] < -20
    assert int(away.sum()) > 5
    detected[away | marks.contour] += 500.0
    shift = landmark_shift(model, fit_of(shot), detected, "many")
    front = model.parts["skin"] & (model.mean[:, 2] > 50)
    assert float((shift[front] - SHIFT).norm(dim=1).max()) < 0.5
    assert float(shift.norm(dim=1).max()) < 6.0
    eyes = model.parts["left_eye"]
    assert float(shift[eyes].abs().max()) < 1e-6  # no landmark pulls them


def test_a_photo_that_lies_beside_the_fit_is_painted_where_its_landmarks_are(model, truth):
    shot = shoot(model, truth)
    head, settings = HeadChart.of(model, SIZE), TextureSettings(size=SIZE)
    moved = shot.photo.roll((int(SHIFT[1]), int(SHIFT[0])), (1, 2))
    shift = landmark_shift(model, fit_of(shot), projected(model, shot) + SHIFT, "many")
    wanted = unwrap_photo(model, head.chart, shot.photo, fit_of(shot), settings=settings)
    sure = (wanted.confidence > 0.9)[..., 0] & (head.face > 0.99)[..., 0]
    error = []
    for way in (shift, None):
        found = unwrap_photo(
            model, head.chart, moved, fit_of(shot), settings=settings, sight=Sight(shift=way)
        )
        error.append(float((found.color - wanted.color)[sure].abs().mean()))
    assert error[0] < 0.2 * error[1]
