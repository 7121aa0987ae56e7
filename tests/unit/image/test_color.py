"""sRGB and linear light."""

import pytest
import torch

from facewright.image.color import lacks_color, linear_from_srgb, luminance, srgb_from_linear


def test_known_values() -> None:
    assert linear_from_srgb(torch.tensor([0.0, 0.04045, 0.5, 1.0])).tolist() == pytest.approx(
        [0.0, 0.0031308, 0.2140411, 1.0], abs=1e-6
    )


def test_round_trip_and_its_control() -> None:
    values = torch.linspace(0, 1, 1001)
    assert (srgb_from_linear(linear_from_srgb(values)) - values).abs().max() < 1e-5
    assert (srgb_from_linear(values**2.2) - values).abs().max() > 1e-3  # a plain gamma is not sRGB


def test_gradients_are_finite_at_black() -> None:
    values = torch.tensor([0.0, 1e-9, 0.002, 1.0], requires_grad=True)
    srgb_from_linear(values).sum().backward()
    assert values.grad is not None
    assert torch.isfinite(values.grad).all()


def test_luminance_of_white_and_of_green() -> None:
    assert luminance(torch.eye(3)).sum() == pytest.approx(1)
    assert luminance(torch.tensor([[0.0, 1.0, 0.0]])).item() == pytest.approx(0.7152)


def test_grey_photos_are_told_from_tinted_ones() -> None:
    grey = torch.linspace(0, 1, 64)[:, None].expand(-1, 3)
    assert lacks_color(grey)
    assert not lacks_color(grey * torch.tensor([1.0, 0.95, 0.9]))
    assert not lacks_color(grey[:0])
