"""Hair that hangs: how far down a photo shows it, and the curtain that is made of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from facewright.detection.hair_look import HairLook
from facewright.fitting.hair_colors import like_skin, rather
from facewright.fitting.hair_fall import FROM, Fall, Upright, curtain, fall_beside
from facewright.fitting.hair_view import HairView
from facewright.geometry.mesh import Mesh
from facewright.models.base import load_base_model
from facewright.models.hair_cap import HairCap
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.pose import frontal_pose

SIZE = 256
CAMERA = PerspectiveCamera(torch.tensor([500.0]), torch.tensor([[128.0, 110.0]]), (SIZE, SIZE))
POSE = frontal_pose(1, 1000.0)
WIDE = 95.0  # mm


@pytest.fixture(scope="module")
def view():
    model = load_base_model()
    cap = HairCap.of(model)
    assert cap is not None
    nothing = HairLook(
        torch.zeros(3, SIZE, SIZE), torch.zeros(3, SIZE, SIZE), np.array([128.0, 128, SIZE, 0])
    )
    return HairView.of(cap, cap.surface(model.mean), Mesh(model.mean, model.topology), POSE, CAMERA, nothing)


def row_of(view, upright, height):
    """Row of the photo at a height above the brows (mm)."""
    return int(view.at(upright.middle[None] + [0.0, height, 0.0])[1][0, 1])


def showing(view, end, gap=None, known=None):
    """The view of a photo with hair as wide as ``WIDE`` down to a height (mm), but for a gap."""
    upright, hair = Upright.of(view), torch.zeros(SIZE, SIZE)
    left, right = (int(view.at(upright.middle[None] + [x, 0.0, 0.0])[1][0, 0]) for x in (-WIDE, WIDE))
    hair[: row_of(view, upright, end), left:right] = 1
    if gap is not None:
        hair[row_of(view, upright, gap[0]) : row_of(view, upright, gap[1])] = 0
    seen = torch.ones(SIZE, SIZE)
    if known is not None:
        seen[row_of(view, upright, known) :] = 0
    look = replace(view.look, shares=torch.stack([1 - hair, hair, seen]))
    return replace(view, look=look)


def everything(colors):
    return np.ones(len(colors))


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_hair_is_followed_down_to_its_end(view, side):
    upright = Upright.of(view)
    for end in (-70.0, -150.0):
        fall = fall_beside(showing(view, end), upright, everything, side)
        assert fall is not None
        assert fall.end == pytest.approx(end, abs=7.0)
        assert np.abs(np.interp([-30.0, 0.5 * end], fall.height, fall.wide) - 1).max() < 0.05


def test_a_gap_ends_it_and_so_does_the_photo_or_another_colour(view):
    upright = Upright.of(view)
    below = fall_beside(showing(view, -150.0, gap=(-90.0, -110.0)), upright, everything, 1.0)
    assert below is not None
    assert below.end == pytest.approx(-90.0, abs=7.0)
    assert fall_beside(showing(view, -150.0, gap=(-20.0, -40.0)), upright, everything, 1.0) is None
    cut = fall_beside(showing(view, -190.0, known=-100.0), upright, everything, 1.0)
    assert cut is not None
    assert cut.end == pytest.approx(-100.0, abs=8.0)
    assert fall_beside(showing(view, -150.0), upright, lambda colors: np.zeros(len(colors)), 1.0) is None


def test_a_curtain_falls_straight_from_where_it_leaves_the_head(view):
    upright = Upright.of(view)
    points = view.points + 12.0 * view.outward
    hung = curtain(upright, points, (Fall.straight(-110.0), Fall.straight(-110.0)))
    assert hung is not None
    low = (upright.height < -70) & (np.abs(upright.angle) > 1.5)
    assert low.sum() > 100
    assert hung.share[low].min() > 0.99
    away = hung.points - upright.middle
    radius = np.hypot(away[:, 0], away[:, 2])
    assert (radius - upright.radius)[low].min() > 4.9  # off the neck
    beside = low & (np.abs(np.abs(upright.angle) - np.pi / 2) < 0.2)
    leaving = (np.abs(upright.height - FROM) < 10) & (np.abs(np.abs(upright.angle) - np.pi / 2) < 0.2)
    width = np.hypot(*(points - upright.middle)[leaving][:, [0, 2]].T).mean()
    assert radius[beside].mean() == pytest.approx(width, rel=0.06)
    high = upright.height > 20
    np.testing.assert_array_equal(hung.points[high], points[high])
    np.testing.assert_allclose(hung.above[low], upright.height[low] + 110.0, atol=1e-6)


def test_long_hair_reaches_below_the_mesh_and_one_side_hangs_alone(view):
    upright = Upright.of(view)
    long = curtain(upright, view.points, (Fall.straight(-180.0), Fall.straight(-180.0)))
    assert long is not None
    assert long.points[:, 1].min() - upright.middle[1] < -175.0
    assert view.points[:, 1].min() - upright.middle[1] > -160.0  # the control
    left = curtain(upright, view.points, (Fall.straight(-110.0), None))
    assert left is not None
    low = (upright.height < -60) & (np.abs(upright.angle) > 1.5) & (np.abs(upright.angle) < 1.8)
    assert left.share[low & (upright.angle > 0)].min() > 0.9
    assert left.share[low & (upright.angle < 0)].max() < 0.1
    assert curtain(upright, view.points, (None, None)) is None


def test_colours_are_told_apart_by_those_that_are_sure():
    rng = np.random.default_rng(0)
    hair, skin, wall = (
        np.clip(base + 0.02 * rng.normal(size=(60, 3)), 0, 1)
        for base in ([0.3, 0.2, 0.1], [0.8, 0.6, 0.5], [0.2, 0.3, 0.6])
    )
    colors = np.concatenate([hair, skin])
    is_hair = np.repeat([1.0, 0.0], 60)
    test = rather(colors, is_hair, 1 - is_hair, wall)
    assert test(hair).mean() > 0.95
    assert max(test(skin).mean(), test(wall).mean()) < 0.05
    bald = like_skin(colors, 1 - is_hair)
    assert bald(skin).mean() > 0.8
    assert bald(hair).max() < 0.05
    assert like_skin(colors, 0.5 * (1 - is_hair))(skin).max() == 0.0  # no skin is seen surely
