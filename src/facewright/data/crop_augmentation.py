"""Crops as other photos of the same face might have come out: moved, lit, blurred, noisy, partly hidden."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn import functional

from facewright.core.ranges import check_range
from facewright.detection.aligned_crop import SIZE


@dataclass(frozen=True)
class AugmentationSettings:
    """How crops are changed before the network sees them, so that it learns faces and not photos.

    Attributes:
        shift: largest shift in px of the crop.
        scale: largest change of size, as a share.
        roll: largest turn in radians.
        light: largest change of brightness, as a share of the range; contrast and gamma change by twice that.
        blur: share of crops that are made coarser.
        coarsest: px across, the least that a coarse crop has of detail.
        noise: largest standard deviation of the noise.
        occlusion: share of crops of which a rectangle is hidden.
        border: share of crops that are black beyond a turned square, as where a photo ends.
    """

    shift: float = 4.0
    scale: float = 0.07
    roll: float = 0.12
    light: float = 0.15
    blur: float = 0.3
    coarsest: float = 28.0
    noise: float = 0.03
    occlusion: float = 0.3
    border: float = 0.4

    def __post_init__(self) -> None:
        check_range(self, 0, math.inf, "shift", "roll", "noise")
        check_range(self, 0, 1, "scale", "light", "blur", "occlusion", "border")
        check_range(self, 1, SIZE, "coarsest")


@dataclass(frozen=True)
class ChangedCrops:
    """Crops as a network sees them, and where their pixels come from.

    Attributes:
        images: sRGB luma in [0, 1].
        source_from_crop: px of these images to px of the crops with a margin.
        mirrored: whether left and right are exchanged.
    """

    images: Float[Tensor, "B 1 112 112"]
    source_from_crop: Float[Tensor, "B 2 3"]
    mirrored: Bool[Tensor, " B"]

    def moved(self, points: Float[Tensor, "B N 2"]) -> Float[Tensor, "B N 2"]:
        """Points in px of the crops with a margin, in px of these images."""
        linear, shift = self.source_from_crop[:, :, :2], self.source_from_crop[:, None, :, 2]
        return (points - shift) @ torch.linalg.inv(linear).mT


def augmented(
    crops: UInt8[ndarray, "B S S"], rng: np.random.Generator, settings: AugmentationSettings
) -> Float[Tensor, "B 1 112 112"]:
    """The images of ``changed``."""
    return changed(crops, rng, settings).images


def changed(
    crops: UInt8[ndarray, "B S S"], rng: np.random.Generator, settings: AugmentationSettings
) -> ChangedCrops:
    """Changed copies of crops with a margin, cut to what a network sees; the same from the same ``rng``."""
    images = torch.from_numpy(crops).float()[:, None] / 255.0
    side = images.shape[-1]
    images, affine = _moved(images, rng, settings)
    # From the normalised coordinates of grid_sample, -1 to 1 over either image, to px.
    linear = affine[:, :, :2] * (side / SIZE)
    shift = (affine[:, :, 2] + 1 - affine[:, :, :2].sum(2)) * (side / 2)
    images = _coarser(images, rng, settings)
    images = _relit(images, rng, settings)
    images = images + settings.noise * _column(rng.random(len(crops))) * _noise(images, rng)
    images = _hidden(images.clamp(0, 1), rng, settings)
    mirrored = torch.linalg.det(affine[:, :, :2]) < 0
    return ChangedCrops(images, torch.cat([linear, shift[..., None]], 2), mirrored)


def _moved(
    images: Tensor, rng: np.random.Generator, settings: AugmentationSettings
) -> tuple[Tensor, Float[Tensor, "B 2 3"]]:
    """Shifted, scaled, turned, and mirrored half of the time; and the map of grid_sample that did it."""
    count, side = len(images), images.shape[-1]
    scale = np.exp(rng.uniform(-settings.scale, settings.scale, count)) * (SIZE / side)
    roll = rng.uniform(-settings.roll, settings.roll, count)
    shift = rng.uniform(-settings.shift, settings.shift, (count, 2)) * (2.0 / side)
    mirror = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    cos, sin = scale * np.cos(roll), scale * np.sin(roll)
    rows = [np.stack([mirror * cos, -sin, shift[:, 0]], 1), np.stack([mirror * sin, cos, shift[:, 1]], 1)]
    affine = torch.from_numpy(np.stack(rows, 1).astype(np.float32))
    grid = functional.affine_grid(affine, [count, 1, SIZE, SIZE], align_corners=False)
    moved = functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return moved, affine


def _coarser(images: Tensor, rng: np.random.Generator, settings: AugmentationSettings) -> Tensor:
    """Some reduced and enlarged again, all of them by one of three factors that this batch draws."""
    groups = np.where(rng.random(len(images)) < settings.blur, rng.integers(0, 3, len(images)), -1)
    sides = np.exp(rng.uniform(np.log(settings.coarsest), np.log(SIZE), 3)).astype(int)
    changed = images.clone()
    for group, side in enumerate(sides):
        chosen = torch.from_numpy(np.flatnonzero(groups == group))
        if len(chosen):
            small = functional.interpolate(
                images[chosen], size=(int(side), int(side)), mode="bilinear", antialias=True
            )
            changed[chosen] = functional.interpolate(small, size=(SIZE, SIZE), mode="bilinear")
    return changed


def _relit(images: Tensor, rng: np.random.Generator, settings: AugmentationSettings) -> Tensor:
    """Brightness, contrast, gamma, and a slope of light across the face."""
    count, amount = len(images), settings.light
    bright, slope_x, slope_y = (_column(rng.uniform(-amount, amount, count)) for _ in range(3))
    contrast, gamma = (_column(np.exp(rng.uniform(-2 * amount, 2 * amount, count))) for _ in range(2))
    axis = torch.linspace(-1, 1, images.shape[-1])
    middle = images.mean((2, 3), keepdim=True)
    lit = (images - middle) * contrast + middle + bright + slope_x * axis + slope_y * axis[:, None]
    return lit.clamp(1e-4, 1) ** gamma


def _hidden(images: Tensor, rng: np.random.Generator, settings: AugmentationSettings) -> Tensor:
    """Some with a rectangle of one grey, some black beyond a turned square."""
    count = len(images)
    axis = torch.arange(SIZE) + 0.5
    x, y = axis[None, None, None, :], axis[None, None, :, None]
    middle, half = rng.uniform(0, SIZE, (2, count)), rng.uniform(6, 26, (2, count))
    inside = ((x - _column(middle[0])).abs() < _column(half[0])) & (
        (y - _column(middle[1])).abs() < _column(half[1])
    )
    chosen = _column(rng.random(count)) < settings.occlusion
    images = torch.where(inside & chosen, _column(rng.random(count)), images)
    turn, extent = rng.uniform(-0.5, 0.5, count), rng.uniform(36, 60, (2, count))
    cos, sin = _column(np.cos(turn)), _column(np.sin(turn))
    u, v = x - 0.5 * SIZE, y - 0.55 * SIZE
    across, down = (u * cos + v * sin).abs(), (v * cos - u * sin).abs()
    beyond = (across > _column(extent[0])) | (down > _column(extent[1]))
    chosen = _column(rng.random(count)) < settings.border
    return torch.where(beyond & chosen, 0.0, images)


def _noise(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Standard normal numbers in the images' shape."""
    return torch.from_numpy(rng.standard_normal(images.shape, dtype=np.float32))


def _column(values: ndarray) -> Tensor:
    """(B,) numbers as (B, 1, 1, 1)."""
    return torch.from_numpy(np.asarray(values, dtype=np.float32))[:, None, None, None]
