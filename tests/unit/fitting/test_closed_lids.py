"""Lids that meet, and never pass one another."""

from dataclasses import replace

import pytest
import torch

from facewright.fitting.closed_lids import LID_PAIRS, close_lids
from facewright.fitting.landmark import fit_landmarks, with_parameters
from facewright.fitting.landmark_basis import landmark_basis
from facewright.fitting.landmark_expressions import load_landmark_expressions
from facewright.fitting.records import LANDMARK_SET
from facewright.geometry.rotation import rotation_from_axis_angle
from facewright.models.base import load_base_model


@pytest.fixture(scope="module")
def head():
    return load_base_model()


@pytest.fixture(scope="module")
def basis(head):
    return landmark_basis(head, told=load_landmark_expressions())


def told_to_blink(head, basis, left, right):
    """The basis with a map that says so of any face."""
    offset = torch.zeros_like(basis.told.offset)
    for name, value in (("eyeBlinkLeft", left), ("eyeBlinkRight", right)):
        offset[:, head.expression_names.index(name)] = value
    return replace(basis, told=replace(basis.told, offset=offset, slope=torch.zeros_like(offset)))


def fitted(head, basis, **shown):
    points = head.landmark_points(head.mean, LANDMARK_SET)[None, :, :2] * torch.tensor([2.0, -2.0]) + 300
    fit = fit_landmarks(head, points, (600, 600), basis=basis)
    expression = torch.zeros_like(fit.parameters.expression)
    for name, value in shown.items():
        expression[:, head.expression_names.index(name)] = value
    identity = torch.randn(fit.parameters.identity.shape, generator=torch.Generator().manual_seed(0))
    parameters = replace(fit.parameters, expression=expression, identity=identity)
    return with_parameters(head, parameters, fit.detected_px, fit)


def opening(points, side):
    """Millimetres between the lids of one head."""
    return float(sum(points[0, a, 1] - points[0, b, 1] for a, b in LID_PAIRS[side])) / 3


def test_lids_of_a_shut_eye_meet_and_those_of_the_other_stay(head, basis):
    rest = torch.zeros(1, head.expression_count)
    rest[0, head.expression_names.index("eyeBlinkLeft")] = 1
    met = opening(head.landmark_points(head.vertices(None, rest), LANDMARK_SET), "Left")
    fit = fitted(head, basis, eyeBlinkLeft=0.4, eyeSquintLeft=0.3, eyeLookDownLeft=0.4, eyeBlinkRight=0.2)
    shut = close_lids(head, told_to_blink(head, basis, 0.6, 0.1), fit)
    assert opening(fit.landmarks_head, "Left") > met + 2
    assert opening(shut.landmarks_head, "Left") == pytest.approx(met, abs=0.05)
    assert opening(shut.landmarks_head, "Right") == pytest.approx(
        opening(fit.landmarks_head, "Right"), abs=0.1
    )
    half = close_lids(head, told_to_blink(head, basis, 0.51, 0.1), fit)
    assert met + 0.5 < opening(half.landmarks_head, "Left") < opening(fit.landmarks_head, "Left") - 0.5


def test_of_a_head_that_looks_aside_no_eye_winks(head, basis):
    fit = fitted(head, basis, eyeBlinkLeft=0.3, eyeBlinkRight=0.3)
    winking = told_to_blink(head, basis, 0.6, 0.1)
    pose = fit.parameters.pose
    turn = rotation_from_axis_angle(torch.tensor([[0.0, 1.0, 0.0]]))
    aside = replace(fit.parameters, pose=replace(pose, rotation=pose.rotation @ turn))
    turned = with_parameters(head, aside, fit.detected_px, fit)
    for basis_told, closes in ((winking, False), (told_to_blink(head, basis, 0.7, 0.5), True)):
        after = close_lids(head, basis_told, turned).landmarks_head
        for side in LID_PAIRS:
            assert (opening(after, side) < opening(turned.landmarks_head, side) - 1) == closes
    after = close_lids(head, winking, fit).landmarks_head
    assert opening(after, "Left") < opening(after, "Right") - 1


def test_lids_do_not_pass_one_another(head, basis):
    fit = fitted(head, basis, eyeBlinkRight=1.0, eyeSquintRight=0.8, eyeLookDownRight=0.9)
    eased = close_lids(head, told_to_blink(head, basis, 0.0, 0.0), fit)
    assert opening(eased.landmarks_head, "Right") > opening(fit.landmarks_head, "Right") + 1
    both = close_lids(head, told_to_blink(head, basis, 0.0, 1.0), fit)
    assert opening(both.landmarks_head, "Right") == pytest.approx(
        opening(eased.landmarks_head, "Right"), abs=0.05
    )


def test_without_a_map_or_blinks_nothing_is_done(head, basis):
    fit = fitted(head, basis, eyeBlinkLeft=0.4)
    assert close_lids(head, replace(basis, told=None), fit) is fit
    names = tuple(name.replace("eyeBlink", "wink") for name in head.expression_names)
    assert close_lids(replace(head, expression_names=names), basis, fit) is fit
