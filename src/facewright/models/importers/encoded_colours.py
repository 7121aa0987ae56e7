"""A linear model of sRGB colours as a linear model of linear light, to first order."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from facewright.models.importers.raw import RawAlbedo

KNEE, SLOPE, OFFSET, GAMMA = 0.04045, 12.92, 0.055, 2.4  # IEC 61966-2-1


def linear_colours(mean: Float[ndarray, "V 3"], basis: Float[ndarray, "K V 3"]) -> RawAlbedo:
    """Bring the mean to linear light and the basis by the curve's slope at the mean.

    Args:
        mean: sRGB; within [0, 1] but for rounding.
        basis: change of sRGB of one standard deviation.
    """
    clipped = np.clip(mean, 0.0, 1.0) if -0.02 <= mean.min() <= mean.max() <= 1.02 else mean
    curved = np.maximum(clipped + OFFSET, 0) / (1 + OFFSET)
    dark = clipped <= KNEE
    linear = np.where(dark, clipped / SLOPE, curved**GAMMA)
    slope = np.where(dark, 1 / SLOPE, GAMMA / (1 + OFFSET) * curved ** (GAMMA - 1))
    return RawAlbedo(linear, (basis * slope).astype(np.float32))
