"""The opened mouth: its area, what hides it, and where its outline's gradient leads."""

from dataclasses import replace

import pytest
import torch

from facewright.methods.specular.losses import mouth_area, mouth_loss, mouth_target
from facewright.methods.specular.rendering import render
from facewright.methods.specular.settings import LossSettings, RenderSettings

SIZE = 96


def opened(model, probe, neutral, jaw):
    """Lips on the picture, mm included, of heads with this activation of jawOpen."""
    head = neutral(size=SIZE)
    expression = head.expression.clone()
    expression[:, model.expression_names.index("jawOpen")] = 1.0
    at = replace(head, expression=jaw * expression)
    return at, at.camera.project(probe.lips(at))


def test_closed_lips_leave_no_area_and_opened_ones_do(model, probe, patch, neutral):
    areas = [
        float(mouth_area(patch, opened(model, probe, neutral, torch.tensor(jaw))[1], SIZE).sum())
        for jaw in (0.0, 0.2, 0.5)
    ]
    assert areas[0] < 0.5  # px of 96 x 96
    assert areas[2] > 2 * areas[1] > 20


@pytest.mark.parametrize(("jaw", "goal"), [(0.15, 0.5), (0.5, 0.15)])
def test_the_outline_opens_and_closes_the_jaw(model, probe, patch, neutral, jaw, goal):
    wanted = mouth_area(patch, opened(model, probe, neutral, torch.tensor(goal))[1], SIZE)
    activation = torch.tensor(jaw, requires_grad=True)
    head, points = opened(model, probe, neutral, activation)
    drawn = render(model, _without_gradient(head), RenderSettings(SIZE))
    loss = mouth_loss(mouth_area(patch, points, SIZE, drawn.fragments), wanted, LossSettings())
    loss.backward()
    assert activation.grad is not None
    assert float(activation.grad) * (jaw - goal) > 0  # downhill is towards the goal


def _without_gradient(at):
    return replace(at, expression=at.expression.detach())


def test_a_face_before_the_mouth_hides_it(model, probe, patch, neutral):
    head, points = opened(model, probe, neutral, torch.tensor(0.5))
    drawn = render(model, head, RenderSettings(SIZE))
    seen = mouth_area(patch, points, SIZE, drawn.fragments).sum()
    behind = points + torch.tensor([0.0, 0.0, 80.0])
    hidden = mouth_area(patch, behind, SIZE, drawn.fragments).sum()
    assert hidden < 0.1 * seen
    assert seen > 0.8 * mouth_area(patch, points, SIZE).sum()


def test_landmarks_of_a_photo_tell_the_same_area(model, probe, patch, neutral):
    head, lips = opened(model, probe, neutral, torch.tensor(0.5))
    points = head.camera.project(probe.landmarks(head)[0])
    told = float(mouth_target(patch, points[..., :2], SIZE).sum())
    # The landmarks leave a gap between closed lips, which the model's margins do not.
    assert (
        float(mouth_area(patch, lips, SIZE).sum()) < told < 1.3 * float(mouth_area(patch, lips, SIZE).sum())
    )
