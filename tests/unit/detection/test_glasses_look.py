"""Where spectacles are looked for: a band of one size around the eyes, upright however the head lies."""

import math

import numpy as np
import pytest
import torch

from facewright.core.errors import AssetError
from facewright.detection.glasses_look import (
    CLASSES,
    GlassesLook,
    GlassesLooker,
    band_from_photo,
    cut_band,
    glasses_frame,
)
from facewright.geometry.rotation import rotation_from_axis_angle
from facewright.models.base import load_base_model
from facewright.models.glasses import GlassesPlaces
from facewright.networks.segmentation import SegmentationNetwork, SegmentationNetworkSettings
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.pose import Pose, turned_rotations

CAMERA = PerspectiveCamera(torch.tensor([900.0]), torch.tensor([[256.0, 256.0]]), (512, 512))
FRAME = np.array([[100.0, 60.0, 80.0, 0.3]])


@pytest.fixture(scope="module")
def seat():
    model = load_base_model()
    places = GlassesPlaces.of(model)
    assert places is not None
    return places.on(model.mean.double().numpy())


def posed(yaw_deg, roll_deg):
    roll = rotation_from_axis_angle(torch.tensor([[0.0, 0.0, math.radians(roll_deg)]]))
    turn = turned_rotations((math.radians(yaw_deg),))
    return Pose(roll @ turn, torch.tensor([[0.0, 0.0, 900.0]]))


@pytest.mark.parametrize(("yaw", "roll"), [(0, 0), (40, 0), (-70, 0), (0, 30), (30, -50)])
def test_the_band_holds_eyes_and_temples_at_one_size(seat, yaw, roll):
    pose = posed(yaw, roll)
    frame = glasses_frame(seat, pose, CAMERA)
    assert frame[0, 2] == pytest.approx(glasses_frame(seat, posed(0, 0), CAMERA)[0, 2], rel=0.15)
    assert math.degrees(frame[0, 3]) == pytest.approx(roll, abs=4)
    marks = np.concatenate([seat.eyes, seat.ears])
    pixels = CAMERA.project(pose.camera_from_head(torch.from_numpy(marks).float()[None]))[0, :, :2]
    unit = band_from_photo(pixels.double().numpy(), frame)
    assert unit.min() > 0.0
    assert unit.max() < 1.0


def test_the_band_is_cut_where_its_places_are():
    photo = torch.zeros(3, 120, 200)
    photo[:, 62:68, 118:124] = 1.0
    band = cut_band(photo, FRAME, 64)
    assert band.shape == (1, 3, 32, 64)
    row, column = divmod(int(band[0, 0].argmax()), 64)
    unit = band_from_photo(np.array([[121.0, 65.0]]), FRAME)[0] * [64, 32]
    np.testing.assert_allclose([column + 0.5, row + 0.5], unit, atol=3.5)


def test_beyond_the_band_there_is_nothing():
    shares = torch.zeros(len(CLASSES), 32, 64)
    shares[3] = 1.0
    look = GlassesLook(shares, torch.ones(3, 32, 64), FRAME)
    inside, beyond = look.at(np.array([[100.0, 60.0], [400.0, 60.0]]))
    np.testing.assert_allclose(inside, [0, 0, 0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(beyond, [1, 0, 0, 0, 0], atol=1e-6)


@pytest.mark.parametrize("wrong", [{"ratio": 1}, {"classes": 6}])
def test_networks_of_other_crops_are_refused(wrong):
    sizes = {"input_size": 64, "classes": len(CLASSES), "ratio": 2} | wrong
    settings = SegmentationNetworkSettings(widths=(4, 6, 8), decoder=(6, 4), **sizes)
    with pytest.raises(AssetError, match="times as wide as high"):
        GlassesLooker(SegmentationNetwork(settings))


def test_a_look_gives_shares_of_the_whole_band():
    settings = SegmentationNetworkSettings(64, len(CLASSES), (4, 6, 8), (6, 4), ratio=2)
    torch.manual_seed(0)
    look = GlassesLooker(SegmentationNetwork(settings).eval())(torch.rand(3, 120, 200), FRAME)
    assert look.shares.shape == (len(CLASSES), 32, 64)
    torch.testing.assert_close(look.shares.sum(0), torch.ones(32, 64))
    assert look.colors.shape == (3, 32, 64)
