"""Crops around the eyes of labelled photographs, as the landmarker's look at eyes sees them."""

import numpy as np
import torch
from torch import Tensor, nn

from facewright.detection.crop import crop_from_photo, cut_crops, photo_from_crop
from facewright.detection.eyes import eye_frames
from facewright.detection.points import EYES

from .photos import PhotoSet

CORNERS = (0, 8)  # of an eye's points, whose distance is the yardstick
CANVAS, WIDER = 80, 1.5  # px of what is kept of a photo, and its side over that of the crop
# How far crops lie off, of the look before: shift in parts of the side, logarithm of the side, roll.
SPREAD = (0.035, 0.03, 0.025)
LOOKED_AWAY, SHUT = 2.0, 5.0  # how much more often eyes that look aside and shut eyes are drawn
BLINK = (10, 9)  # columns of the labels, right and left


class EyeStore:
    """Canvases (N, 1, C, C) uint8 around eyes, and the points (N, 37, 2) in them; all as right eyes."""

    def __init__(self, photos: PhotoSet) -> None:
        canvases, points, drawn = [], [], []
        frames, seen = eye_frames(photos.landmarks[..., :2].astype(np.float64))
        frames[..., 2] *= WIDER
        for row in range(len(photos)):
            grey = torch.from_numpy(photos.image(row).astype(np.float32))
            crops = cut_crops(grey, frames[row], CANVAS)[:, 0].round().to(torch.uint8).numpy()
            for side, own in enumerate(EYES):
                if seen[row, side] < 1:
                    continue
                shape = photos.landmarks[row, own, :2].astype(np.float64)
                place = crop_from_photo(shape[None], frames[row, side][None])[0]
                canvas = crops[side]
                if side:
                    canvas, place = canvas[:, ::-1], place * [-1, 1] + [1, 0]
                away = abs(place[32, 0] - place[list(CORNERS), 0].mean()) / 0.1
                canvases.append(canvas)
                points.append(place)
                blink = photos.expression[row, BLINK[side]]
                drawn.append(1 + LOOKED_AWAY * min(away, 1.0) + SHUT * blink)
        self.canvases = np.stack(canvases)[:, None]
        self.points = np.stack(points).astype(np.float32)
        self.weights = np.array(drawn) / np.sum(drawn)

    def __len__(self) -> int:
        return len(self.canvases)

    def crops(self, rows: np.ndarray, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
        """Crops (B, 1, S, S) in [0, 1] that lie off as those of the landmarker do, and their points."""
        off = rng.normal(size=(len(rows), 4)).clip(-2.5, 2.5) * [SPREAD[0], SPREAD[0], *SPREAD[1:]]
        side = np.exp(off[:, 2]) / WIDER
        frames = np.stack([0.5 + off[:, 0] / WIDER, 0.5 + off[:, 1] / WIDER, side, off[:, 3]], 1)
        grid = torch.from_numpy(_grid(frames, size)).float()
        canvases = torch.from_numpy(self.canvases[rows]).float() / 255
        crops = nn.functional.grid_sample(canvases, grid, padding_mode="border", align_corners=False)
        return crops, torch.from_numpy(crop_from_photo(self.points[rows].astype(np.float64), frames)).float()


def _grid(frames: np.ndarray, size: int) -> np.ndarray:
    """Where the pixels of crops lie in their canvases, as ``grid_sample`` counts."""
    axis = (np.arange(size) + 0.5) / size
    across, down = np.meshgrid(axis, axis)
    flat = np.broadcast_to(np.stack([across, down], -1).reshape(1, -1, 2), (len(frames), size**2, 2))
    return (2 * photo_from_crop(flat, frames) - 1).reshape(-1, size, size, 2)
