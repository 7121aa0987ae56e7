"""How alike two pictures are."""

import math
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from facewright.core.errors import InputError


def psnr(
    image: Float[Tensor, "3 H W"],
    reference: Float[Tensor, "3 H W"],
    mask: Bool[Tensor, "H W"] | None = None,
) -> float:
    """Peak signal-to-noise ratio in dB of pictures in [0, 1]; infinite where they are equal.

    Args:
        image: sRGB.
        reference: sRGB.
        mask: pixels that count; all if None.

    Raises:
        InputError: no pixel counts.
    """
    squares = (image.double() - reference.double()) ** 2
    if mask is not None:
        if not bool(mask.any()):
            raise InputError("a picture metric needs at least one pixel inside of the mask, got none.")
        squares = squares[:, mask]
    error = float(squares.mean())
    return math.inf if error == 0 else -10 * math.log10(error)


def pixel_error(
    image: Float[Tensor, "3 H W"], reference: Float[Tensor, "3 H W"], mask: Bool[Tensor, "H W"]
) -> tuple[float, float]:
    """Mean and standard deviation over a mask of the absolute difference, [0, 1].

    Raises:
        InputError: no pixel counts.

    **Source:** Deng et al. 2022, table 1: over the face, all channels pooled.
    """
    if not bool(mask.any()):
        raise InputError("a picture metric needs at least one pixel inside of the mask, got none.")
    difference = (image.double() - reference.double()).abs()[:, mask]
    return float(difference.mean()), float(difference.std(unbiased=False))


def ssim(image: Float[Tensor, "3 H W"], reference: Float[Tensor, "3 H W"]) -> float:
    """Structural similarity of pictures in [0, 1], channels averaged; 1 where they are equal.

    Raises:
        InputError: a side is shorter than the window of 11 pixels.

    **Source:** Wang et al. 2004: Gaussian window of 1.5 px (11 x 11), K1 = 0.01, K2 = 0.03.
    """
    from skimage.metrics import structural_similarity

    if min(image.shape[1:]) < 11:
        raise InputError(f"SSIM needs pictures of at least 11 x 11 pixels, got {tuple(image.shape[1:])}.")
    arrays = [np.asarray(picture.double().cpu()) for picture in (image, reference)]
    value: Any = structural_similarity(
        *arrays, channel_axis=0, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return float(value)
