"""What is behind heads: blurred shapes and colours, or pictures of a folder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from facewright.core.errors import InputError
from facewright.image.color import linear_from_srgb
from facewright.image.io import PhotoLimits, read_photo

MAX_FILES = 100_000
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
SIDE = 512  # px that a picture of a folder is read at
COARSE = 72  # px at which shapes are drawn, before they are enlarged


@dataclass(frozen=True)
class Backdrops:
    """Where backdrops come from.

    Attributes:
        files: pictures without faces, in a fixed order; shapes and colours are drawn if there are none.
    """

    files: tuple[Path, ...] = ()

    @classmethod
    def of_folder(cls, folder: Path) -> "Backdrops":
        """All pictures of a folder and below.

        Raises:
            InputError: there is no such folder, or no picture in it.
        """
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}: check --backgrounds.")
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        if not 0 < len(files) <= MAX_FILES:
            raise InputError(
                f"{folder} has {len(files)} pictures ({', '.join(SUFFIXES)}): expected 1 to {MAX_FILES}."
            )
        return cls(tuple(files))

    def draw(self, size: int, level: float, rng: np.random.Generator) -> Float[Tensor, "3 H W"]:
        """A backdrop at random, linear.

        Args:
            size: px, both sides.
            level: how bright light is.
            rng: of the drawing.

        Raises:
            ImageError: a picture cannot be read.
        """
        if self.files:
            return self._cut(size, rng) * max(level, 0.05)
        return _shapes(size, rng) * max(level, 0.05)

    def _cut(self, size: int, rng: np.random.Generator) -> Tensor:
        path = self.files[rng.integers(len(self.files))]
        picture = read_photo(path, PhotoLimits(working_side=SIDE)).pixels
        side = int(rng.uniform(0.4, 1.0) * min(picture.shape[1:]))
        top = int(rng.integers(picture.shape[1] - side + 1))
        left = int(rng.integers(picture.shape[2] - side + 1))
        cut = picture[:, top : top + side, left : left + side]
        if rng.random() < 0.5:
            cut = cut.flip(2)
        scaled = functional.interpolate(
            linear_from_srgb(cut)[None], size=(size, size), mode="bilinear", antialias=True
        )
        return scaled[0]


def _shapes(size: int, rng: np.random.Generator) -> Tensor:
    """A gradient with clouds, boxes and discs of colour, out of focus."""
    y, x = np.mgrid[:COARSE, :COARSE] / COARSE
    palette = _palette(rng)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = 0.5 + (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5))
    picture = palette[0] + ramp[..., None] * (palette[1] - palette[0])
    if rng.random() < 0.8:
        for _ in range(rng.integers(1, 14)):
            color, opaque = palette[rng.integers(len(palette))], rng.uniform(0.3, 1.0)
            cx, cy, half, tall = *rng.uniform(-0.1, 1.1, 2), rng.uniform(0.03, 0.35), rng.uniform(0.05, 0.9)
            if rng.random() < 0.6:
                inside = (np.abs(x - cx) < half) & (np.abs(y - cy) < tall)
            else:
                inside = np.hypot(x - cx, y - cy) < half * 0.7
            shade = opaque * inside[..., None]
            picture = picture + shade * (color * rng.uniform(0.6, 1.4) - picture)
    clouds = sum(
        weight * _enlarged(rng.normal(size=(1, cells, cells)), COARSE)[0]
        for cells, weight in ((3, 0.25), (9, 0.12), (27, 0.08))
    )
    picture = picture * np.exp(rng.uniform(0, 1.2) * clouds)[..., None]
    planes = picture.transpose(2, 0, 1).astype(np.float32)
    focus = int(rng.integers(14, COARSE))  # fewer cells are a stronger blur
    small = functional.interpolate(
        torch.from_numpy(planes)[None], size=(focus, focus), mode="bilinear", antialias=True
    )
    large = functional.interpolate(small, size=(size, size), mode="bicubic", align_corners=False)[0]
    return large.clamp(0.002, 3.0)


def _palette(rng: np.random.Generator) -> np.ndarray:
    """Five colours, most of them dull, linear."""
    bright = np.exp(rng.uniform(np.log(0.03), np.log(0.9), (5, 1)))
    tint = np.exp(rng.choice([0.03, 0.1, 0.3]) * rng.normal(size=(5, 3)))
    return bright * tint


def _enlarged(values: np.ndarray, size: int) -> np.ndarray:
    planes = torch.from_numpy(values.astype(np.float32))[None]
    return functional.interpolate(planes, size=(size, size), mode="bicubic", align_corners=False)[0].numpy()
