"""Faces that lie on their side: a public-domain portrait turned by quarters, and finders that know theirs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from facewright.detection import FaceDetector, FaceLandmarker, Landmarks, detect
from facewright.detection.turned import find_turned


def face(points: Tensor, presence: float = 1.0) -> Landmarks:
    return Landmarks(points, presence, torch.cat([points.amin(0), points.amax(0)]), 0.9)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_points_lie_in_the_photo_as_it_was_given(portraits: dict[str, Path], turns: int) -> None:
    detector, landmarker = FaceDetector.load(), FaceLandmarker.load()

    def finder(photo: Tensor) -> list[Landmarks]:
        return detect(photo, detector=detector, landmarker=landmarker)

    array = np.array(Image.open(portraits["astronaut"]).convert("RGB"))[:384]
    upright = torch.from_numpy(array).permute(2, 0, 1).float() / 255
    lying = torch.rot90(upright, turns, (1, 2)).contiguous()
    assert finder(lying) == []  # the control
    (expected,), (found,) = finder(upright), find_turned(finder, lying)
    marked = torch.zeros(upright.shape[1:])
    x, y = expected.points[1].floor().long().tolist()
    marked[y, x] = 1
    row, column = torch.rot90(marked, turns, (0, 1)).nonzero()[0].tolist()  # where the tip of the nose went
    assert (found.points[1] - torch.tensor([column + 0.5, row + 0.5])).abs().max() < 2
    low, high = found.box.split(2)
    assert torch.equal(low, found.points.amin(0))
    assert torch.equal(high, found.points.amax(0))


def test_one_face_is_found_once_and_an_unsure_one_not_at_all() -> None:
    seen: list[tuple[int, ...]] = []

    def finder(photo: Tensor) -> list[Landmarks]:
        height, width = photo.shape[1:]
        seen.append((height, width))
        around = torch.cat([torch.full((1, 2), -4.0), torch.full((477, 2), 4.0)])
        marks = photo[0].nonzero()
        return [face(around + mark.flip(0) + 0.5, 1.0 if len(marks) == 1 else 0.3) for mark in marks]

    photo = torch.zeros(3, 40, 60)
    photo[0, 20, 30] = 1
    (found,) = find_turned(finder, photo)
    assert seen == [(60, 40), (40, 60), (60, 40)]
    assert torch.equal(found.box, torch.tensor([26.5, 16.5, 34.5, 24.5]))
    photo[0, 5, 50] = 1
    assert find_turned(finder, photo) == []
