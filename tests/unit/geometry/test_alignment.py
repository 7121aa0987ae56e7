"""Rigid and similarity alignment of corresponding points."""

import pytest
import torch

from facewright.core.errors import InputError
from facewright.geometry.alignment import align_points
from facewright.geometry.rotation import rotation_from_axis_angle


def moved(points, scale=1.0):
    generator = torch.Generator().manual_seed(1)
    rotation = rotation_from_axis_angle(torch.randn(len(points), 3, generator=generator))
    translation = torch.randn(len(points), 3, generator=generator) * 40
    return scale * points @ rotation.mT + translation[:, None], rotation, translation


@pytest.fixture
def points():
    return torch.randn(4, 12, 3, generator=torch.Generator().manual_seed(0)) * 50


def test_a_similarity_motion_is_recovered(points):
    target, rotation, translation = moved(points, 1.3)
    found = align_points(points, target, with_scale=True)
    torch.testing.assert_close(found.rotation, rotation, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.translation, translation, atol=1e-3, rtol=0)
    torch.testing.assert_close(found.scale, torch.full((4,), 1.3), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.inverse().apply(target), points, atol=1e-3, rtol=0)


def test_a_rigid_alignment_keeps_its_scale_at_one(points):
    target, rotation, _ = moved(points, 1.3)
    found = align_points(points, target)
    assert (found.scale == 1).all()
    torch.testing.assert_close(found.rotation, rotation, atol=1e-5, rtol=0)
    assert (found.apply(points) - target).norm(dim=-1).max() > 1


def test_points_of_weight_zero_do_not_count(points):
    target, rotation, _ = moved(points)
    target[:, 3] += 1000
    weights = torch.ones(4, 12)
    assert (align_points(points, target, weights).rotation - rotation).abs().max() > 0.01
    weights[:, 3] = 0
    torch.testing.assert_close(align_points(points, target, weights).rotation, rotation, atol=1e-5, rtol=0)


def test_a_mirror_image_is_never_answered_with_a_reflection(points):
    mirrored = points * torch.tensor([-1.0, 1, 1])
    torch.testing.assert_close(torch.det(align_points(points, mirrored).rotation), torch.ones(4))
    flat = points * torch.tensor([1.0, 1, 0])
    torch.testing.assert_close(torch.det(align_points(flat, flat).rotation), torch.ones(4))


def test_too_few_points_and_empty_weights_are_refused(points):
    with pytest.raises(InputError, match="at least 3"):
        align_points(points[:, :2], points[:, :2])
    with pytest.raises(InputError, match="positive sum"):
        align_points(points, points, torch.zeros(4, 12))
