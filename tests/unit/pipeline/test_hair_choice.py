"""Which photo of a person the hair is taken from."""

import math

import pytest
import torch
from tests.miniature_head import miniature_model

from facewright.models.hair_cap import HairCap
from facewright.pipeline.hair import photo_of_hair
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import ambient_light
from facewright.scene.parameters import HeadParameters
from facewright.scene.pose import Pose, turned_rotations

CAMERA = PerspectiveCamera(torch.tensor([400.0]), torch.tensor([[32.0, 32.0]]), (64, 64))
POINTS = torch.tensor([[20.0, 20.0], [44.0, 44.0]]).repeat(239, 1).expand(3, 478, 2)


def turned(degrees: float) -> HeadParameters:
    pose = Pose(turned_rotations((math.radians(degrees),)), torch.tensor([[0.0, 0.0, 800.0]]))
    zero = torch.zeros(1, 1)
    return HeadParameters(zero, zero, zero, zero, pose, CAMERA, ambient_light(1))


@pytest.mark.parametrize(("grey", "chosen"), [((), 1), ((1,), 2), ((0, 1, 2), 1)])
def test_the_most_frontal_photo_in_colour(grey, chosen):
    photos = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for row in grey:
        photos[row] = photos[row].mean(0, keepdim=True)
    assert photo_of_hair([turned(40), turned(-5), turned(20)], list(photos), POINTS) == chosen


def test_a_model_without_a_scalp_has_no_hair():
    assert HairCap.of(miniature_model()) is None
