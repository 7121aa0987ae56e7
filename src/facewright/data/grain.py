"""Noise by counting: normal numbers of a seed and a place, the same on every device.

A number is the entry of a table of the normal distribution at 12 bits of a hash, so that no device's
logarithm has a say in it.
"""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy.special import ndtri
from torch import Tensor

BITS = 12  # of the hash for one number
ENTRIES = 1 << BITS
# Source: Steele et al. 2014, "Fast splittable pseudorandom number generators", the finaliser of SplitMix64.
STEP, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


@lru_cache(maxsize=1)
def normal_table() -> Float[Tensor, " N"]:
    """Middles of equally likely slices of the normal distribution, of variance 1."""
    middles = ndtri((np.arange(ENTRIES) + 0.5) / ENTRIES)
    return torch.from_numpy((middles / middles.std()).astype(np.float32))


def grain(seeds: Int64[Tensor, " B"], size: tuple[int, int], stride: int) -> Float[Tensor, "B 3 H W"]:
    """Normal numbers of seeds in [0, 2^31).

    Args:
        seeds: one a picture.
        size: (height, width).
        stride: places in a row of the counting; pictures of another width agree where they have a place in
            common.
    """
    rows, columns = (torch.arange(side, device=seeds.device) for side in size)
    place = rows[:, None] * stride + columns
    mixed = _mixed((seeds << 32)[:, None, None] + place)
    bits = torch.stack([_shifted(mixed, BITS * channel) & (ENTRIES - 1) for channel in range(3)], 1)
    return normal_table().to(seeds.device)[bits]


def _mixed(values: Tensor) -> Tensor:
    values = values * _signed(STEP)
    values = (values ^ _shifted(values, 30)) * _signed(FIRST)
    values = (values ^ _shifted(values, 27)) * _signed(SECOND)
    return values ^ _shifted(values, 31)


def _shifted(values: Tensor, by: int) -> Tensor:
    """To the right as if there were no sign."""
    return (values >> by) & ((1 << (64 - by)) - 1) if by else values


def _signed(constant: int) -> int:
    return constant - (1 << 64) if constant >= 1 << 63 else constant
