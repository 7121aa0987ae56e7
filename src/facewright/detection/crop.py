"""Square, roll-normalised crops: where they lie in a photo and how their pixels are read."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from facewright.core.errors import InputError
from facewright.image.color import LUMA_WEIGHTS

from .points import towards_left_eye

CROP_MARGIN = 1.4  # side of the crop over the larger extent of the landmarks


def frames_from_landmarks(points: Float[np.ndarray, "B 478 2"]) -> Float[np.ndarray, "B 4"]:
    """Crop frames (centre x, centre y, side in px, roll in radians) around dense landmarks in px.

    The roll follows ``towards_left_eye``.
    """
    across = towards_left_eye(torch.from_numpy(points.copy())).numpy()  # torch takes no reversed array
    roll = np.arctan2(across[:, 1], across[:, 0])
    cos, sin = np.cos(roll)[:, None], np.sin(roll)[:, None]
    u = points[..., 0] * cos + points[..., 1] * sin
    v = -points[..., 0] * sin + points[..., 1] * cos
    middle_u, middle_v = 0.5 * (u.min(1) + u.max(1)), 0.5 * (v.min(1) + v.max(1))
    side = CROP_MARGIN * np.maximum(np.ptp(u, 1), np.ptp(v, 1))
    x = middle_u * cos[:, 0] - middle_v * sin[:, 0]
    y = middle_u * sin[:, 0] + middle_v * cos[:, 0]
    return np.stack([x, y, side, roll], -1).astype(points.dtype)


def photo_from_crop(
    points: Float[np.ndarray, "B N 2"], frames: Float[np.ndarray, "B 4"]
) -> Float[np.ndarray, "B N 2"]:
    """Crop units (0 to 1) to px of the photo."""
    cos, sin = np.cos(frames[:, 3:4]), np.sin(frames[:, 3:4])
    u, v = ((points[..., axis] - 0.5) * frames[:, 2:3] for axis in (0, 1))
    return np.stack([frames[:, 0:1] + u * cos - v * sin, frames[:, 1:2] + u * sin + v * cos], -1)


def crop_from_photo(
    points: Float[np.ndarray, "B N 2"], frames: Float[np.ndarray, "B 4"]
) -> Float[np.ndarray, "B N 2"]:
    """Px of the photo to crop units (0 to 1)."""
    cos, sin = np.cos(frames[:, 3:4]), np.sin(frames[:, 3:4])
    x, y = points[..., 0] - frames[:, 0:1], points[..., 1] - frames[:, 1:2]
    return np.stack([(x * cos + y * sin) / frames[:, 2:3], (-x * sin + y * cos) / frames[:, 2:3]], -1) + 0.5


def luma(photo: Float[Tensor, "3 H W"]) -> Float[Tensor, "H W"]:
    """Grey sRGB values (ITU-R BT.601)."""
    return (photo.new_tensor(LUMA_WEIGHTS) @ photo.flatten(1)).view(photo.shape[1:])


def halve(image: Float[Tensor, "1 C H W"]) -> Float[Tensor, "1 C h w"]:
    """Means of 2x2 pixels; an odd last row or column counts twice."""
    height, width = image.shape[-2:]
    if height % 2 or width % 2:
        image = functional.pad(image, (0, width % 2, 0, height % 2), mode="replicate")
    rows = image[..., ::2, :] + image[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]).mul_(0.25)  # several times faster than avg_pool2d


def cut_crops(
    grey: Float[Tensor, "H W"], frames: Float[np.ndarray, "B 4"], size: int
) -> Float[Tensor, "B 1 S S"]:
    """Square crops of ``size`` px; beyond the photo its border goes on.

    A crop that shrinks the photo reads a halved copy of it, so that no pixel is skipped.
    """
    return cut_color_crops(grey[None], frames, size)


def cut_color_crops(
    photo: Float[Tensor, "C H W"], frames: Float[np.ndarray, "B 4"], size: int
) -> Float[Tensor, "B C S S"]:
    """``cut_crops`` of all channels."""
    if not np.isfinite(frames).all():
        raise InputError("expected landmarks with finite positions, got some without.")
    levels = np.floor(np.log2(np.maximum(frames[:, 2] / size / 1.15, 1.0))).astype(int)
    crops = photo.new_empty((len(frames), len(photo), size, size))
    for level in np.unique(levels):
        chosen = np.flatnonzero(levels == level)
        depth = min(
            int(level), max(min(photo.shape[-2:]) - 1, 0).bit_length()
        )  # as often as it can be halved
        near, corner = _part_around(photo, frames[chosen], 2**depth)
        for _ in range(depth):
            near = halve(near)
        placed = (frames[chosen] - [*corner, 0, 0]) / [2.0**depth, 2.0**depth, 2.0**depth, 1.0]
        # The crops of one level stand below each other in one grid, so that they are read in one call.
        read = functional.grid_sample(
            near,
            sampling_grid(placed, size, near)[None],
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )
        stacked = read.view(len(photo), len(chosen), size, size).transpose(0, 1)
        crops[torch.from_numpy(chosen).to(photo.device)] = stacked
    return crops


def _part_around(
    photo: Float[Tensor, "C H W"], frames: Float[np.ndarray, "B 4"], block: int
) -> tuple[Float[Tensor, "1 C h w"], tuple[int, int]]:
    """The part of a photo that crops read, in whole blocks of pixels, and its corner (x, y)."""
    reach = frames[:, 2] * (0.5 * math.sqrt(2)) + 2 * block
    spans = []
    for axis, length in ((0, photo.shape[2]), (1, photo.shape[1])):
        low, high = (frames[:, axis] - reach).min() // block, -((frames[:, axis] + reach).max() // -block)
        first = min(max(int(low), 0), (length - 1) // block) * block
        spans.append((first, min(max(int(high) * block, first + block), length)))
    (left, right), (top, bottom) = spans
    return photo[None, :, top:bottom, left:right], (left, top)


def sampling_grid(
    frames: Float[np.ndarray, "B 4"], size: int, image: Float[Tensor, "1 C H W"]
) -> Float[Tensor, "rows S 2"]:
    """Where the pixels of the crops lie in ``image``, crop below crop, as ``grid_sample`` counts."""
    height, width = image.shape[-2:]
    x, y, side, roll = frames.astype(np.float64).T[:, :, None, None]
    axis = (np.arange(size) + 0.5) / size - 0.5
    u, v = axis[None, None, :], axis[None, :, None]
    cos, sin = side * np.cos(roll), side * np.sin(roll)
    # grid_sample without aligned corners puts -1 and 1 on the outer edges, as our pixel frame does.
    grid = np.empty((len(frames), size, size, 2), np.float32)
    np.subtract((x + u * cos) * (2 / width) - 1, v * sin * (2 / width), out=grid[..., 0], casting="same_kind")
    np.add((y + u * sin) * (2 / height) - 1, v * cos * (2 / height), out=grid[..., 1], casting="same_kind")
    return torch.from_numpy(grid.reshape(-1, size, 2)).to(image.device, image.dtype)
