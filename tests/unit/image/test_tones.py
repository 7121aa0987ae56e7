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


def test_what_is_not_a_number_is_black() -> None:
    odd = torch.tensor([float("nan"), float("inf"), -float("inf"), 1e30, -1e30, 1.0]).expand(2, 2, 6)
    black, white = 0, 255
    for bytes_of in (toned, plain_toned):
        assert bytes_of(odd, srgb_curve())[1, 1].tolist() == [black, white, black, white, black, white]
