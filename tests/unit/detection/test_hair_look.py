"""A look at hair that the segmentation sees in part only: its colours tell the rest."""

import numpy as np
import pytest
import torch

from facewright.detection.crop import crop_from_photo
from facewright.detection.hair_look import look_for_hair
from facewright.detection.segmentation import CLASSES, FaceSegmentation, FaceSegmenter

SIDE = 200
FRAME = np.array([[100.0, 140.0, 100.0, 0.0]])
SKIN, HAIR, WALL = (0.8, 0.6, 0.5), (0.15, 0.1, 0.05), (0.3, 0.5, 0.8)


def scene():
    """Photo (3, H, W), and masks of hair and face: a dome of hair whose top the first look cuts off."""
    y, x = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij")
    hair = ((x - 100) ** 2 + (y - 115) ** 2 < 45**2) & (y < 150)
    face = ((x - 100) / 25) ** 2 + ((y - 145) / 35) ** 2 < 1
    photo = torch.tensor(WALL)[:, None, None].expand(3, SIDE, SIDE).clone()
    photo[:, hair] = torch.tensor(HAIR)[:, None]
    photo[:, face] = torch.tensor(SKIN)[:, None]
    return photo, hair & ~face, face


def seen(hair, face, frames, size=64):
    """A faultless segmentation of a square of the scene."""
    units = (np.stack(np.meshgrid(*(np.arange(size),) * 2), -1).reshape(-1, 2) + 0.5) / size - 0.5
    pixels = (frames[0, :2] + units * frames[0, 2]).astype(int).clip(0, SIDE - 1)
    chosen = torch.zeros(len(CLASSES), size * size)
    rows, columns = pixels[:, 1], pixels[:, 0]
    kind = torch.where(face[rows, columns], CLASSES.index("face"), CLASSES.index("background"))
    kind = torch.where(hair[rows, columns], CLASSES.index("occluder"), kind)
    chosen[kind, torch.arange(size * size)] = 1.0
    return FaceSegmentation(chosen.view(1, -1, size, size), frames)


class Blind(FaceSegmenter):
    """A second look that takes everything for something before the head, as far from a face it may."""

    def __init__(self):
        pass

    def in_frames(self, photos, frames):
        shares = torch.zeros(len(photos), len(CLASSES), 64, 64)
        shares[:, CLASSES.index("occluder")] = 1.0
        return FaceSegmentation(shares, frames)


DOME = np.array([[55.0, 150.0], [145.0, 150.0], [145.0, 70.0], [55.0, 70.0]])
CROWN, ABOVE = np.array([[100.0, 78.0]]), np.array([[100.0, 58.0], [60.0, 70.0], [140.0, 70.0]])


def test_colour_tells_where_the_crown_ends():
    photo, hair, face = scene()
    first = seen(hair, face, FRAME)
    assert crop_from_photo(CROWN[None], FRAME)[0, 0, 1] < 0  # the first look does not see it
    look = look_for_hair(Blind(), photo, first, DOME)
    beyond, share, known = look.at(CROWN)
    assert known.all()
    assert beyond[0] < 0.1
    assert share[0] > 0.9
    assert look.at(ABOVE)[0].min() > 0.7
    # The control: where all is of one colour, the blind look is believed.
    grey = look_for_hair(Blind(), torch.full_like(photo, 0.5), first, DOME)
    assert grey.at(ABOVE)[0].max() < 0.5


def test_a_face_stays_a_face_and_skin_is_no_hair():
    photo, hair, face = scene()
    look = look_for_hair(Blind(), photo, seen(hair, face, FRAME), DOME)
    beyond, share, _ = look.at(np.array([[100.0, 150.0], [100.0, 130.0]]))
    assert beyond.max() < 0.05
    assert share.max() < 0.05
    told = look.hair(torch.tensor([[100.0, 100.0], [100.0, 150.0]]))
    assert told[0] > 0.95
    assert told[1] < 0.05


def test_beyond_the_photo_nothing_is_known():
    photo, hair, face = scene()
    look = look_for_hair(Blind(), photo[:, 90:], seen(hair, face, FRAME), DOME)
    assert not look.at(np.array([[100.0, -6.0]]))[2].any()


@pytest.mark.parametrize("dome", [np.zeros((5, 2)), DOME[:2]])
def test_a_dome_without_area_changes_nothing(dome):
    photo, hair, face = scene()
    look = look_for_hair(Blind(), photo, seen(hair, face, FRAME), dome)
    assert look.at(np.array([[100.0, 100.0]]))[1][0] > 0.9
