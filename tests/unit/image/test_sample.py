"""Reading between pixel centres, and cutting boxes."""

import pytest
import torch

from facewright.core.errors import InputError
from facewright.image.color import linear_from_srgb
from facewright.image.sample import sample_bilinear
from facewright.image.warp import crop_box


def ramp(height: int = 6, width: int = 8) -> torch.Tensor:
    """A picture whose channels are the x and y coordinates of each pixel's centre."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([x, y])[None]


def test_pixel_centres_are_at_one_half() -> None:
    points = torch.tensor([[[0.5, 0.5], [3.0, 2.25], [7.5, 5.5]]])
    assert torch.allclose(sample_bilinear(ramp(), points), points, atol=1e-5)
    assert not torch.allclose(sample_bilinear(ramp(), points - 0.5), points, atol=0.1)


def test_outside() -> None:
    points = torch.tensor([[[-5.0, 3.0]]])
    assert sample_bilinear(ramp(), points)[0, 0].tolist() == pytest.approx([0.5, 3.0])
    assert sample_bilinear(ramp(), points, outside="zeros")[0, 0].tolist() == [0, 0]


def test_crop_inside_outside_and_scaled() -> None:
    photo = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(0))
    assert torch.equal(crop_box(photo, (4, 5, 12, 11), (6, 8)), photo[:, 5:11, 4:12])
    corner = crop_box(photo, (-4, -5, 4, 5), (10, 8), outside=0.25)
    assert torch.equal(corner[:, 5:, 4:], photo[:, :5, :4])
    assert (corner[:, :5] == 0.25).all()
    assert (crop_box(photo, (100, 100, 110, 110), (10, 10)) == 0).all()
    assert crop_box(photo, (0, 0, 30, 20), (10, 15)).mean() == pytest.approx(float(photo.mean()), abs=0.01)
    with pytest.raises(InputError, match="x0 < x1"):
        crop_box(photo, (4, 5, 4, 11), (6, 8))


def test_a_linear_crop_is_the_mean_of_light() -> None:
    board = torch.zeros(3, 8, 8)
    board[:, ::2, ::2] = board[:, 1::2, 1::2] = 1
    half = crop_box(board, (0, 0, 8, 8), (2, 2), linear=True)
    assert torch.allclose(half, torch.full_like(half, 0.5), atol=0.02)  # half of the light
    encoded = linear_from_srgb(crop_box(board, (0, 0, 8, 8), (2, 2)))
    assert float(encoded.mean()) < 0.25  # control: resampling the encoding loses half of it
