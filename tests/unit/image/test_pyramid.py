"""Hole filling."""

import pytest
import torch

from facewright.image.pyramid import blur, enlarge, push_pull, shrink


@pytest.mark.parametrize("size", [(64, 64), (37, 50), (1, 9)])
def test_a_constant_fills_everything(size):
    known = (torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(0)) < 0.1).float()
    known[..., 0, 0] = 1
    filled = push_pull(torch.full((1, 2, *size), 0.7) * known, known)
    assert torch.allclose(filled, torch.full_like(filled, 0.7), atol=1e-5)


def test_known_values_stay_and_holes_lie_between():
    size = 64
    ramp = torch.linspace(0, 1, size).expand(1, 1, size, size)
    known = torch.ones(1, 1, size, size)
    known[..., 24:40] = 0
    filled = push_pull(ramp * known, known)
    assert torch.equal(filled[known > 0], ramp[known > 0])
    hole = filled[0, 0, size // 2, 24:40]
    assert hole.min() > ramp[0, 0, 0, 20]
    assert hole.max() < ramp[0, 0, 0, 44]
    assert hole[:4].mean() < hole[-4:].mean()  # it follows the ramp, not one mean


def test_weights_count():
    values, weights = torch.tensor([[[[1.0, 5.0], [1.0, 1.0]]]]), torch.tensor([[[[1.0, 0.0], [1.0, 1.0]]]])
    mean, weight = shrink(values, weights, 2)
    assert mean.item() == 1
    assert weight.item() == 0.75
    smooth = blur(values, 1, weights)
    assert torch.allclose(smooth, torch.ones_like(smooth))


@pytest.mark.parametrize("size", [128, 100, 97, 127])
def test_enlarging_what_was_shrunk_shifts_nothing(size):
    factor = 32
    ramp = torch.arange(size).float().expand(1, 1, size, size)
    coarse, _ = shrink(ramp, torch.ones(1, 1, size, size), factor)
    back = enlarge(coarse, factor, (size, size))
    assert back.shape == ramp.shape
    # Between the middles of whole blocks a ramp comes back as it was; a shift by one texel is caught.
    inner = slice(factor // 2, size // factor * factor - factor // 2)
    off = (back - ramp)[..., inner].abs().max()
    assert off < 1e-3
    assert (back.roll(1, -1) - ramp)[..., inner][..., 1:].abs().max() > 0.9


@pytest.mark.parametrize("size", [64, 67, 96])
def test_a_hole_far_from_the_edge_is_filled_with_what_lies_around(size):
    ramp = torch.linspace(0, 1, size).expand(1, 1, size, size)
    known = torch.ones(1, 1, size, size)
    known[..., 16:48:2] = 0  # one texel wide, each midway between its neighbours
    filled = push_pull(ramp * known, known)
    assert (filled - ramp)[..., 16:48].abs().max() < 0.75 / size
