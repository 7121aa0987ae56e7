"""Find faces of any size and roll in a photo."""

import math
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from facewright.core.assets import asset_path
from facewright.networks.heads import FaceNetwork, FaceNetworkSettings
from facewright.networks.runtime import runner_of
from facewright.networks.weights import read_weights

from .crop import CROP_MARGIN, halve, luma
from .records import DEFAULTS, DetectedFace, DetectionSettings

WEIGHTS = "detector.safetensors"
COARSE_SIDE = 160  # longer side of the coarse level, which finds the faces that fill the photo
COARSE_PAD = 32  # px of the coarse level around the photo: a face cut by the border keeps its surroundings
PAD_LEVEL = 0.5
STRIDE = 32


class FaceDetector:
    """Finds faces with one network at two scales; holds the weights of one device."""

    def __init__(self, network: nn.Module, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.run = runner_of(network, self.device)

    @classmethod
    def load(cls, device: torch.device | str = "cpu", path: Path | None = None) -> "FaceDetector":
        """Load the shipped weights, or those of ``path``.

        Raises:
            AssetError: the file is missing, damaged or of another version.
        """
        return cls(read_weights(path or asset_path(WEIGHTS), FaceNetwork, FaceNetworkSettings), device)

    def __call__(
        self, photo: Float[Tensor, "3 H W"], settings: DetectionSettings = DEFAULTS
    ) -> list[DetectedFace]:
        """Faces of a photo (sRGB in [0, 1]), the largest and surest first."""
        return self.search(luma(photo.to(self.device)), settings)

    def search(
        self, grey: Float[Tensor, "H W"], settings: DetectionSettings = DEFAULTS
    ) -> list[DetectedFace]:
        """Faces of a grey photo on the detector's device."""
        height, width = grey.shape
        longer = max(height, width)
        found = []
        level = grey[None, None]
        if longer > 1.4 * COARSE_SIDE:
            level = _resized(level, min(1.0, settings.longer_side / longer))
            found.append(self._faces_of(level, (height, width), 0, settings))
        level = _resized(level, COARSE_SIDE / max(level.shape[-2:]))
        found.append(self._faces_of(level, (height, width), COARSE_PAD, settings))
        kept = _suppress(np.concatenate(found), settings)
        order = np.argsort(-kept[:, 2] * kept[:, 4], kind="stable")[: settings.max_faces]
        return [_record(row, grey) for row in kept[order]]

    def _faces_of(
        self, level: Float[Tensor, "1 1 h w"], size: tuple[int, int], margin: int, settings: DetectionSettings
    ) -> Float[np.ndarray, "N 5"]:
        """Candidates (x, y, side, roll, score) in px of the photo, from one scale."""
        height, width = level.shape[-2:]
        right = margin + (-(width + 2 * margin)) % STRIDE
        bottom = margin + (-(height + 2 * margin)) % STRIDE
        padded = functional.pad(level, (margin, right, margin, bottom), value=PAD_LEVEL)
        rows = [
            _peaks(output, stride, settings.min_score)
            for output, stride in zip(self.run(padded), FaceNetwork.STRIDES, strict=True)
        ]
        faces = np.concatenate(rows)
        scale_x, scale_y = size[1] / width, size[0] / height
        faces[:, 0] = (faces[:, 0] - margin) * scale_x
        faces[:, 1] = (faces[:, 1] - margin) * scale_y
        faces[:, 2] *= 0.5 * (scale_x + scale_y)
        return faces


def _resized(image: Float[Tensor, "1 1 H W"], scale: float) -> Float[Tensor, "1 1 h w"]:
    """Scale without aliasing."""
    height, width = image.shape[-2:]
    size = (max(round(height * scale), 1), max(round(width * scale), 1))
    while image.shape[-2] >= 2 * size[0] and image.shape[-1] >= 2 * size[1]:
        image = halve(image)
    if image.shape[-2:] == size:
        return image
    return functional.interpolate(image, size, mode="bilinear", align_corners=False, antialias=scale < 1)


def _peaks(output: Float[Tensor, "1 6 h w"], stride: int, min_score: float) -> Float[np.ndarray, "N 5"]:
    """Local maxima of the score as (x, y, side, roll, score) in px of the network's image."""
    maps = output[0].cpu().numpy()
    rows, columns = np.nonzero(maps[0] >= math.log(min_score / (1.0 - min_score)))
    if not len(rows):
        return np.zeros((0, 5))
    framed = np.full((maps.shape[1] + 2, maps.shape[2] + 2), -np.inf, np.float32)
    framed[1:-1, 1:-1] = maps[0]
    around = [framed[rows + down, columns + right] for down in range(3) for right in range(3)]
    highest = maps[0, rows, columns] >= np.max(around, axis=0)
    rows, columns = rows[highest], columns[highest]
    values = maps[:, rows, columns].astype(np.float64)
    x = (columns + 0.5 + values[1]) * stride
    y = (rows + 0.5 + values[2]) * stride
    side = np.exp(values[3].clip(-3.0, 6.0)) * stride
    score = 1.0 / (1.0 + np.exp(-values[0]))
    return np.stack([x, y, side, np.arctan2(values[5], values[4]), score], -1)


def _suppress(faces: Float[np.ndarray, "N 5"], settings: DetectionSettings) -> Float[np.ndarray, "K 5"]:
    """Of overlapping faces only the surest."""
    faces = faces[np.argsort(-faces[:, 4], kind="stable")]
    half = 0.5 * faces[:, 2] / CROP_MARGIN
    kept: list[int] = []
    for index in range(len(faces)):
        others = np.array(kept, int)
        reach = half[index] + half[others]
        across = np.minimum(
            reach - abs(faces[others, 0] - faces[index, 0]), 2 * np.minimum(half[index], half[others])
        )
        down = np.minimum(
            reach - abs(faces[others, 1] - faces[index, 1]), 2 * np.minimum(half[index], half[others])
        )
        shared = across.clip(0) * down.clip(0) / (2 * np.minimum(half[index], half[others])) ** 2
        if not (shared > settings.max_overlap).any():
            kept.append(index)
    return faces[kept]


def _record(face: Float[np.ndarray, "5"], grey: Float[Tensor, "H W"]) -> DetectedFace:
    x, y, side, roll, score = face.tolist()
    extent = side / CROP_MARGIN
    box = torch.tensor([x - extent / 2, y - extent / 2, x + extent / 2, y + extent / 2])
    return DetectedFace(box.to(grey.device), score, (x, y), extent, roll)
