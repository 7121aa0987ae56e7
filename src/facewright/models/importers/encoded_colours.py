"""A linear model of sRGB colours as a linear model of linear light, to first order."""

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from facewright.image.color import linear_from_srgb
from facewright.models.importers.raw import RawAlbedo


def linear_colours(mean: Float[ndarray, "V 3"], basis: Float[ndarray, "K V 3"]) -> RawAlbedo:
    """Bring the mean to linear light and the basis by the curve's slope at the mean.

    Args:
        mean: sRGB; within [0, 1] but for rounding.
        basis: change of sRGB of one standard deviation.
    """
    clipped = np.clip(mean, 0.0, 1.0) if -0.02 <= mean.min() <= mean.max() <= 1.02 else mean
    encoded = torch.from_numpy(clipped.astype(np.float64)).requires_grad_()
    linear = linear_from_srgb(encoded)
    (slope,) = torch.autograd.grad(linear.sum(), encoded)
    return RawAlbedo(linear.detach().numpy(), (basis * slope.numpy()).astype(np.float32))
