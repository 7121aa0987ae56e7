"""The closer look at eyes, on a portrait that is mirrored and turned aside."""

import numpy as np
import pytest
import torch
from PIL import Image

from facewright.core.assets import asset_path
from facewright.detection import FaceDetector, FaceLandmarker, detect
from facewright.detection.crop import luma
from facewright.detection.eyes import EyeLook, eye_frames
from facewright.detection.landmarker import EYES as FILE
from facewright.detection.points import EYES, LIDS
from facewright.networks.heads import EyeNetwork, EyeNetworkSettings
from facewright.networks.weights import read_weights


@pytest.fixture(scope="module")
def look():
    return EyeLook(read_weights(asset_path(FILE), EyeNetwork, EyeNetworkSettings), torch.device("cpu"))


@pytest.fixture(scope="module")
def portrait(portraits):
    """Grey photo and its landmarks."""
    pixels = np.array(Image.open(portraits["astronaut"]).convert("RGB"))
    photo = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
    found = detect(photo, detector=FaceDetector.load(), landmarker=FaceLandmarker.load())
    return luma(photo), found[0].points.double().numpy()[None]


def mirrored(points, width):
    """As the landmarks of the mirror image; of those that are no eye's points only the place is right."""
    result = points.copy()
    for own, other in (EYES, EYES[::-1]):
        result[:, own] = points[:, other]
    result[..., 0] = width - result[..., 0]
    return result


def test_a_mirror_image_has_mirrored_eyes(look, portrait):
    grey, points = portrait
    seen = look(grey, points)
    flipped = look(grey.flip(-1), mirrored(points, grey.shape[1]))
    np.testing.assert_allclose(mirrored(flipped, grey.shape[1])[:, LIDS], seen[:, LIDS], atol=0.4)
    others = np.setdiff1d(np.arange(478), np.concatenate(EYES))
    np.testing.assert_array_equal(seen[:, others], points[:, others])


def test_eyes_are_found_from_beside_where_they_are(look, portrait):
    grey, points = portrait
    seen, off = look(grey, points), points.copy()
    off[:, EYES[0]] += 3.0
    again = look(grey, off)
    irises = [EYES[0][32], EYES[1][32]]
    assert np.abs(again[:, irises] - seen[:, irises]).max() < 1.2  # 3 px off before


def test_an_eye_that_is_turned_away_keeps_its_landmarks(look, portrait):
    grey, points = portrait
    narrow, right = points.copy(), list(EYES[0])
    middle = narrow[:, right].mean(1, keepdims=True)
    narrow[:, right] = middle + (narrow[:, right] - middle) * [0.2, 1.0]
    assert eye_frames(points)[1].tolist() == [[1.0, 1.0]]
    assert eye_frames(narrow)[1].tolist() == [[0.0, 1.0]]
    np.testing.assert_array_equal(look(grey, narrow)[:, right], narrow[:, right])
