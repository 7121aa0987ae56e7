"""Which pixels belong to a head: its mesh, and hair or a hat beside it, by their colours."""

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from torch import Tensor
from torch.nn.functional import avg_pool2d

BINS = 16  # of a channel of the colour histograms
REACH = 0.45  # of the head's size: hair farther from the scalp is left alone
FAR = 0.55  # of the head's size: what is farther from the head is background
DETAIL = 1 / 60  # of the head's size: radius of the filter that follows the photo's edges
SOFTNESS = 1e-3  # variance (sRGB) below which an edge of the photo is none


def head_matte(
    photo: Float[Tensor, "3 H W"], coverage: Float[Tensor, "H W"], scalp: Float[Tensor, "H W"]
) -> Float[Tensor, "H W"]:
    """How much of each pixel belongs to a head, 0 to 1, smooth along the edges of the photo.

    What lies outside the mesh counts as far as its colour is more frequent on the scalp than far from the
    head, and as it lies near the scalp.

    Args:
        photo: sRGB.
        coverage: of the mesh, as far as it counts.
        scalp: where the mesh is skin that hair grows on.
    """
    covered = coverage.detach().cpu().numpy()
    size = max(8.0, float(np.sqrt((covered > 0.5).sum())))
    matte = torch.from_numpy(_unrefined(photo.detach().cpu().numpy(), covered, scalp.cpu().numpy(), size))
    radius = max(1, round(size * DETAIL))
    guide = photo.detach().cpu()
    soft = guided_filter(guide, matte.to(guide.dtype), radius, SOFTNESS).clamp(0, 1)
    return torch.maximum(soft, _eroded(coverage.detach().cpu(), 2 * radius)).to(coverage)


def guided_filter(
    guide: Float[Tensor, "3 H W"], values: Float[Tensor, "H W"], radius: int, softness: float
) -> Float[Tensor, "H W"]:
    """Smooth values except across the edges of a guide.

    **Source:** He et al. 2013, Guided image filtering, eqs. 5, 6 and 8.
    **Differs:** the guide is the mean of the channels.
    """
    grey = guide.mean(0)
    mean, target = _mean(grey, radius), _mean(values, radius)
    variance = _mean(grey * grey, radius) - mean * mean
    slope = (_mean(grey * values, radius) - mean * target) / (variance + softness)
    return _mean(slope, radius) * grey + _mean(target - slope * mean, radius)


def _unrefined(photo: ndarray, covered: ndarray, scalp: ndarray, size: float) -> ndarray:
    """The mesh, and likely hair around its scalp."""
    hair = (scalp > 0.5) & (covered > 0.5)
    far = np.asarray(distance_transform_edt(covered < 0.05)) > FAR * size
    if not hair.any() or not far.any():
        return covered.astype(np.float32)
    place = np.minimum((photo * BINS).astype(int), BINS - 1)
    cell = (place[0] * BINS + place[1]) * BINS + place[2]
    own, other = (_histogram(cell[mask]) for mask in (hair, far))
    likely = (own / (own + other))[cell]
    near = 1 - np.asarray(distance_transform_edt(~hair)) / (REACH * size)
    outside = np.clip(2 * likely - 1, 0, 1) ** 0.5 * np.clip(2 * near, 0, 1)
    return np.maximum(covered, outside).astype(np.float32)


def _histogram(cells: ndarray) -> ndarray:
    """Smoothed frequencies of colours, none of them 0."""
    counts = np.bincount(cells, minlength=BINS**3).reshape(BINS, BINS, BINS) / len(cells)
    return gaussian_filter(counts, 1.0, mode="nearest").ravel() + 1e-5


def _mean(values: Tensor, radius: int) -> Tensor:
    side = 2 * radius + 1
    rows = avg_pool2d(values[None, None], (side, 1), 1, (radius, 0), count_include_pad=False)
    return avg_pool2d(rows, (1, side), 1, (0, radius), count_include_pad=False)[0, 0]


def _eroded(coverage: Tensor, radius: int) -> Tensor:
    inside = torch.from_numpy(np.asarray(distance_transform_edt(coverage.numpy() > 0.5)))
    return ((inside / radius) - 0.5).clamp(0, 1).to(coverage) * coverage
