"""Lips of a closed mouth touch after the fit."""

from dataclasses import replace

import numpy as np
import torch

from facewright.fitting.closed_lips import close_lips, lips_closed
from facewright.fitting.landmark import with_parameters
from facewright.fitting.records import LANDMARK_SET, FaceFit, project_landmarks
from facewright.models.base import load_base_model
from facewright.models.lip_seam import lip_seam
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import ambient_light
from facewright.scene.parameters import HeadParameters
from facewright.scene.pose import frontal_pose

MODEL = load_base_model()
SEAM = lip_seam(MODEL)
FACES = MODEL.topology.faces.numpy()


def fitted(shown: dict[str, float], found: dict[str, float]) -> FaceFit:
    """A head that shows some expressions and was fitted with others."""

    def parameters(activations: dict[str, float]) -> HeadParameters:
        expression = torch.zeros(1, MODEL.expression_count)
        for name, value in activations.items():
            expression[0, MODEL.expression_names.index(name)] = value
        return HeadParameters(
            identity=torch.randn(1, MODEL.identity_count, generator=torch.Generator().manual_seed(2)),
            expression=expression,
            diffuse=torch.zeros(1, MODEL.diffuse_count),
            specular=torch.zeros(1, MODEL.specular_count),
            pose=frontal_pose(1, 700.0),
            camera=PerspectiveCamera(torch.tensor([1200.0]), torch.tensor([[256.0, 256.0]]), (512, 512)),
            light=ambient_light(1),
        )

    truth, own = parameters(shown), parameters(found)
    points = MODEL.landmark_points(MODEL.vertices(truth.identity, truth.expression), LANDMARK_SET)
    pixels = project_landmarks(truth, points)
    first = FaceFit(own, ((512, 512),), points, pixels, pixels, torch.zeros(1))
    return with_parameters(MODEL, own, pixels, first)


def opening(fit: FaceFit) -> float:
    """Mean gap of the lips in mm."""
    head = MODEL.vertices(fit.parameters.identity, fit.parameters.expression)[0].double().numpy()
    return float(SEAM.gaps(head, FACES).mean())


def test_lips_that_a_fit_parted_touch_and_little_else_moves() -> None:
    fit = fitted({"mouthSmileLeft": 0.2}, {"mouthSmileLeft": 0.2, "mouthUpperUpLeft": 0.15, "jawOpen": 0.02})
    closed = close_lips(MODEL, SEAM, fit)
    assert opening(fit) > 0.6
    assert abs(opening(closed) - SEAM.rest.mean()) < 0.1
    moved = (closed.landmarks_head - fit.landmarks_head).norm(dim=-1)[0]
    assert moved.mean() < 0.2
    assert closed.parameters.expression.min() >= 0
    assert closed.parameters.expression.max() <= 1
    assert closed.residual < fit.residual
    np.testing.assert_allclose(
        closed.landmarks_head[0],
        MODEL.landmark_points(
            MODEL.vertices(closed.parameters.identity, closed.parameters.expression), LANDMARK_SET
        )[0],
    )


def test_a_mouth_that_is_seen_open_stays_open() -> None:
    slightly = {"jawOpen": 0.06}
    fit = fitted(slightly, slightly)
    assert not lips_closed(fit)
    assert torch.equal(close_lips(MODEL, SEAM, fit).parameters.expression, fit.parameters.expression)
    # The control: the same head would be closed if its photo showed it so.
    told = fitted({}, slightly)
    assert lips_closed(told)
    assert opening(close_lips(MODEL, SEAM, told)) < opening(told) - 1


def test_a_model_without_a_seam_keeps_its_fit() -> None:
    none = {**MODEL.regions, "lips": torch.zeros_like(MODEL.regions["lips"])}
    fit = fitted({}, {"jawOpen": 0.05})
    assert close_lips(MODEL, lip_seam(replace(MODEL, regions=none)), fit) is fit
