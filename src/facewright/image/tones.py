"""Bytes of light by a table: a power for each value of a picture takes ten times as long."""

from functools import lru_cache

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from facewright.image.color import srgb_from_linear

STEPS = 1 << 14  # of light: at most a fifth of a byte where sRGB is steepest


@lru_cache(maxsize=1)
def srgb_curve() -> UInt8[Tensor, " T"]:
    """Bytes of sRGB of evenly spaced light."""
    return curve_bytes(srgb_from_linear(torch.linspace(0, 1, STEPS)))


def curve_bytes(values: Float[Tensor, " T"]) -> UInt8[Tensor, " T"]:
    """The nearest bytes of values in [0, 1]."""
    return (values * 255 + 0.5).to(torch.uint8)


def toned(linear: Float[Tensor, "H W C"], curve: UInt8[Tensor, " T"]) -> UInt8[Tensor, "H W C"]:
    """Bytes of light; what lies outside of [0, 1] is clipped, and what is not a number is 0."""
    if linear.device.type != "cpu":
        return plain_toned(linear, curve)
    from facewright.image.tone_kernels import tone

    pixels = torch.empty(linear.shape, dtype=torch.uint8)
    tone(linear.detach().numpy(), curve.numpy(), pixels.numpy())
    return pixels


def plain_toned(linear: Float[Tensor, "H W C"], curve: UInt8[Tensor, " T"]) -> UInt8[Tensor, "H W C"]:
    """``toned`` in plain torch: the specification of its kernel, and what other devices run."""
    return curve.to(linear.device)[(linear.nan_to_num(nan=0.0).clamp(0, 1) * (len(curve) - 1) + 0.5).long()]
