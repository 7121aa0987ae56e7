"""The table of sRGB gives the bytes that the curve gives, in any layout of memory."""

import torch

from facewright.image.color import srgb_from_linear
from facewright.image.tones import plain_toned, srgb_curve, toned


def test_bytes_are_those_of_the_curve() -> None:
    light = torch.rand(40, 30, 3, generator=torch.Generator().manual_seed(0)) ** 3 * 1.2 - 0.1
    expected = srgb_from_linear(light) * 255
    for linear in (light, light.movedim(-1, 0).contiguous().movedim(0, -1)):
        assert torch.equal(toned(linear, srgb_curve()), plain_toned(linear, srgb_curve()))
        assert (toned(linear, srgb_curve()) - expected).abs().max() < 0.75
    assert (toned(light, srgb_curve()) - 255 * light.clamp(0, 1)).abs().max() > 20
