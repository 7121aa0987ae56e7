"""Picture metrics by hand and against an independent computation."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from facewright.core.errors import InputError
from facewright.evaluation.image_metrics import pixel_error, psnr, ssim


def pictures():
    generator = torch.Generator().manual_seed(0)
    reference = torch.rand(3, 40, 48, generator=generator)
    return (reference + 0.1 * torch.randn(3, 40, 48, generator=generator)).clamp(0, 1), reference


def test_psnr_by_hand():
    reference = torch.full((3, 12, 12), 0.5)
    assert psnr(reference + 0.1, reference) == pytest.approx(20.0, abs=1e-5)
    assert psnr(reference, reference) == math.inf
    mask = torch.zeros(12, 12, dtype=torch.bool)
    mask[2:4] = True
    spoiled = reference.clone()
    spoiled[:, 8:] = 1.0
    assert psnr(spoiled + 0.01, reference, mask) == pytest.approx(40.0, abs=1e-4)
    assert psnr(spoiled + 0.01, reference) < 11
    with pytest.raises(InputError, match="mask"):
        psnr(reference, reference, torch.zeros(12, 12, dtype=torch.bool))


def test_ssim_is_the_formula():
    """Wang's formula with scipy's Gaussian, cut to the 11 x 11 window as published."""
    image, reference = (picture.double().numpy() for picture in pictures())

    def blurred(values):
        return np.stack([gaussian_filter(channel, 1.5, radius=5) for channel in values])

    x, y = blurred(image), blurred(reference)
    xx, yy, xy = blurred(image**2) - x * x, blurred(reference**2) - y * y, blurred(image * reference) - x * y
    score = ((2 * x * y + 1e-4) * (2 * xy + 9e-4)) / ((x * x + y * y + 1e-4) * (xx + yy + 9e-4))
    expected = score[:, 5:-5, 5:-5].mean()
    assert ssim(*pictures()) == pytest.approx(expected, abs=1e-6)
    assert ssim(pictures()[1], pictures()[1]) == pytest.approx(1)
    with pytest.raises(InputError, match="11"):
        ssim(torch.zeros(3, 8, 40), torch.zeros(3, 8, 40))


def test_pixel_error_counts_the_mask_only():
    image, reference = pictures()
    mask = torch.zeros(40, 48, dtype=torch.bool)
    mask[:10] = True
    mean, std = pixel_error(image, reference, mask)
    difference = (image - reference).abs()[:, :10].double()
    assert mean == pytest.approx(float(difference.mean()))
    assert std == pytest.approx(float(difference.std(unbiased=False)))
    assert pixel_error(reference, reference, mask) == (0, 0)
