"""Smooth displacements beside the face model."""

from dataclasses import replace

import numpy as np
from tests.unit.registration.small_face import fine_scan, known_head, small_face

from facewright.registration.correspondence import prepare_target
from facewright.registration.face_fit import FaceFitSettings, fit_face
from facewright.registration.smooth_motion import along_axes, smooth_modes


def test_the_modes_have_the_kernels_covariance() -> None:
    generator = np.random.default_rng(0)
    points = generator.uniform(-60, 60, (300, 3)) * [1, 1, 0.1]
    modes = smooth_modes(points, points[::2], sigma=2.0, reach=30.0, count=120)
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    wanted = 4.0 * np.exp(-0.5 * (apart / 30.0) ** 2)
    assert abs(modes @ modes.T - wanted).max() < 0.05
    # The control: another reach is another covariance.
    assert abs(modes @ modes.T - 4.0 * np.exp(-0.5 * (apart / 24.0) ** 2)).max() > 0.3


def test_each_mode_moves_along_each_axis() -> None:
    modes = np.array([[1.0, 10.0], [2.0, 20.0]])
    moved = along_axes(modes) @ np.array([1.0, 2, 3, 4, 5, 6])
    np.testing.assert_allclose(moved, modes @ np.array([[1.0, 2, 3], [4, 5, 6]]))


def test_what_the_model_does_not_know_does_not_move_its_vertices_away() -> None:
    """A bulge on one cheek: the model alone turns and changes the person to reach it."""
    model = small_face()
    truth = known_head(model)
    target = prepare_target(*fine_scan(truth))
    tight = model.regions["face_tight"].numpy()
    start = np.eye(3), np.zeros(3)

    def error(settings: FaceFitSettings) -> float:
        fit = fit_face(model, target, start, None, settings)
        back = (fit.vertices - fit.translation) @ fit.rotation
        return float(np.linalg.norm(back - truth, axis=1)[tight].mean())

    settings = FaceFitSettings(samples=500)
    assert error(settings) < 0.7 * error(replace(settings, beyond_sigma=0.0))
