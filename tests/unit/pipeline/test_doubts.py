"""When a head is doubted."""

import math

import pytest
import torch

from facewright.pipeline.doubts import MUCH_CLIPPED, POOR_FIT, TURNED_AWAY, doubts
from facewright.scene.pose import Pose, frontal_pose


def turned(angle: float, axis: int) -> Pose:
    """A frontal head turned about the camera's x (0) or y (1) axis, at a place off the optical axis."""
    sine, cosine = math.sin(angle), math.cos(angle)
    about_x = [[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]]
    about_y = [[cosine, 0.0, sine], [0.0, 1.0, 0.0], [-sine, 0.0, cosine]]
    rotation = torch.tensor([about_x, about_y][axis]) @ frontal_pose(1, 600.0).rotation
    return Pose(rotation, torch.tensor([[0.0, 0.0, 600.0]]))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_face_that_looks_away_is_doubted_from_the_limit_on(axis: int, sign: int) -> None:
    assert doubts(turned(sign * (TURNED_AWAY - 0.02), axis), 0.01) == ()
    (told,) = doubts(turned(sign * (TURNED_AWAY + 0.02), axis), 0.01)
    assert "56 degrees away" in told


def test_what_counts_is_the_line_to_the_camera() -> None:
    aside = Pose(frontal_pose(1, 600.0).rotation, torch.tensor([[1200.0, 0.0, 600.0]]))
    assert len(doubts(aside, 0.01)) == 1, "a head far from the optical axis shows its side"
    assert math.degrees(float(aside.away()[0])) == pytest.approx(
        math.degrees(math.atan2(1200, 600)), abs=1e-3
    )


def test_a_poor_fit_is_doubted() -> None:
    assert doubts(frontal_pose(1, 600.0), POOR_FIT - 1e-4) == ()
    assert "3.1 %" in doubts(frontal_pose(1, 600.0), POOR_FIT + 1e-3)[0]


def test_clipped_skin_is_doubted() -> None:
    assert doubts(frontal_pose(1, 600.0), 0.01, MUCH_CLIPPED - 0.01) == ()
    (told,) = doubts(frontal_pose(1, 600.0), 0.01, 0.4)
    assert told.startswith("40 % of the face's skin")
