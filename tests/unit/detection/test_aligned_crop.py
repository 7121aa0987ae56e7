import pickle

import numpy as np
import pytest
import torch

from facewright.core.errors import InputError
from facewright.detection.aligned_crop import DENSE, SIZE, TEMPLATE, aligned_crops, five_points, similarity
from facewright.detection.recognition import shipped_features


def spots(points: torch.Tensor, size: tuple[int, int], sigma: float) -> torch.Tensor:
    """A picture that is bright at the points."""
    rows = torch.arange(size[0]) + 0.5
    columns = torch.arange(size[1]) + 0.5
    away = (columns[None, :, None] - points[:, 0]) ** 2 + (rows[:, None, None] - points[:, 1]) ** 2
    return torch.exp(-0.5 * away / sigma**2).sum(-1)[None, None]


def center_of(crop: torch.Tensor, near: tuple[float, float]) -> np.ndarray:
    """Centroid around a place, in px of the crop with centres at +0.5."""
    x, y = round(near[0]), round(near[1])
    patch = crop[0, 0, y - 6 : y + 7, x - 6 : x + 7]
    axis = torch.arange(13) + 0.5
    total = patch.sum()
    column, row = (patch.sum(0) * axis).sum() / total, (patch.sum(1) * axis).sum() / total
    return np.array([float(column) + x - 6, float(row) + y - 6])


@pytest.mark.parametrize(("scale", "turn"), [(0.8, 0.0), (1.0, 0.6), (3.1, -0.4)])
def test_the_five_points_come_to_the_places_of_arcface(scale: float, turn: float) -> None:
    rotation = scale * torch.tensor([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]).float()
    placed = (torch.tensor(TEMPLATE) - 56.0) @ rotation.T + torch.tensor([230.0, 210.0])
    crop = aligned_crops(spots(placed, (420, 440), 1.6 * scale), placed[None])
    assert crop.shape == (1, 1, SIZE, SIZE)
    for place in TEMPLATE:
        # Source: cv2.warpAffine puts the centre of the first pixel at 0; ours lies at 0.5.
        np.testing.assert_allclose(center_of(crop, place), np.array(place) + 0.5, atol=0.06)


def test_noise_of_one_point_is_shared_by_all() -> None:
    target = torch.tensor(TEMPLATE)
    moved = (2.0 * target + 7.0)[None].clone()
    exact = similarity(moved, target)
    torch.testing.assert_close(exact, torch.tensor([[[2.0, 0.0, 7.0], [0.0, 2.0, 7.0]]]), atol=1e-3, rtol=0)
    moved[0, 2] += 10.0
    assert (similarity(moved, target) - exact)[0, :, 2].abs().max() < 5.0


def test_gradients_reach_the_photo_and_only_what_the_crop_shows() -> None:
    photo = torch.rand(1, 3, 150, 150, requires_grad=True)
    points = torch.tensor(TEMPLATE)[None] * 0.5 + 10.0
    aligned_crops(photo, points).square().sum().backward()
    assert photo.grad is not None
    assert photo.grad[..., 12:60, 12:60].abs().min() > 0
    assert photo.grad[..., 80:, 80:].abs().max() == 0


def test_dense_points_give_five() -> None:
    points = torch.arange(478 * 2).reshape(1, 478, 2).float()
    five = five_points(points)
    torch.testing.assert_close(five[0, 0], points[0, list(DENSE[0])].mean(0))
    torch.testing.assert_close(five[0, 2], points[0, 1])
    assert five_points(points[:, :68], "ibug68").shape == (1, 5, 2)
    with pytest.raises(InputError, match="expected the 68 points of ibug68, got 478"):
        five_points(points, "ibug68")
    with pytest.raises(InputError, match="all lie in one place"):
        similarity(torch.ones(1, 5, 2), torch.tensor(TEMPLATE))


def test_features_behind_crops_reach_the_photo_and_travel_to_other_processes():
    features = shipped_features()
    photos = torch.rand(2, 3, 90, 80, generator=torch.Generator().manual_seed(0)).requires_grad_()
    points = (torch.tensor(TEMPLATE) * 0.5 + 15).expand(2, -1, -1)
    found = features(photos, points)
    assert torch.allclose(found.norm(dim=1), torch.ones(2))
    (gradient,) = torch.autograd.grad(found[:, 0].sum(), photos)
    assert gradient.abs().sum() > 0
    again = pickle.loads(pickle.dumps(features))
    assert torch.equal(again(photos, points), found)
