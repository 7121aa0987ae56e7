"""What each pixel around a face shows: skin, eyes, mouth, something before it, or the background."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from facewright.core.assets import asset_path
from facewright.core.errors import AssetError, InputError
from facewright.image.cover import Cover
from facewright.networks.runtime import runner_of
from facewright.networks.segmentation import SegmentationNetwork, SegmentationNetworkSettings
from facewright.networks.weights import read_weights

from .crop import crop_from_photo, cut_color_crops, frames_from_landmarks

# "face" is its skin with lips, brows and beard; "skin" that of ears, neck and scalp; "occluder" hair,
# glasses, hands, clothes and whatever else lies before the head or beside it.
CLASSES = ("background", "face", "skin", "eyes", "inner_mouth", "occluder")
WEIGHTS = "segmentation.safetensors"


@dataclass(frozen=True)
class FaceSegmentation:
    """Classes of the pixels around some faces, one row a face.

    Attributes:
        probabilities: of ``CLASSES`` in square, upright crops; they sum to 1.
        frames: where the crops lie in the photos (centre x, centre y, side in px, roll in radians).
    """

    probabilities: Float[Tensor, "B K S S"]
    frames: Float[np.ndarray, "B 4"]

    def of(self, *names: str) -> Float[Tensor, "B S S"]:
        """Probability of one of some classes.

        Raises:
            InputError: there is no such class.
        """
        unknown = [name for name in names if name not in CLASSES]
        if unknown or not names:
            raise InputError(f"expected classes of {CLASSES}, got {names}.")
        return self.probabilities[:, [CLASSES.index(name) for name in names]].sum(1)

    def at(self, points: Float[Tensor, "B H W 2"]) -> Float[Tensor, "B K H W"]:
        """Probabilities at places of the photos in px; beyond the crops all is background."""
        flat = points.detach().cpu().double().flatten(1, 2).numpy()
        inside = torch.from_numpy(crop_from_photo(flat, self.frames)).to(self.probabilities)
        grid = (2 * inside - 1).unflatten(1, points.shape[1:3])
        read = functional.grid_sample(self.probabilities, grid, "bilinear", "zeros", align_corners=False)
        read[:, 0] += 1 - read.sum(1)
        return read

    def covers(self) -> list[Cover]:
        """Where something else than its skin and eyes is seen in each face: before it, or in its mouth."""
        return self._places("occluder", "inner_mouth")

    def besides(self) -> list[Cover]:
        """Where the background is seen beside each face; nothing is told of what lies beyond the crops."""
        return self._places("background")

    def _places(self, *names: str) -> list[Cover]:
        planes = self.of(*names)[:, None]

        def of(row: int) -> Cover:
            def look(places: Tensor) -> Tensor:
                inside = crop_from_photo(places.detach().cpu().double()[None].numpy(), self.frames[row, None])
                grid = 2 * torch.from_numpy(inside).to(planes)[None] - 1
                read = functional.grid_sample(
                    planes[row, None], grid, "bilinear", "zeros", align_corners=False
                )
                return read[0, 0, 0].to(places.device)

            return look

        return [of(row) for row in range(len(self.frames))]

    def in_photo(self, size: tuple[int, int]) -> Float[Tensor, "B K H W"]:
        """Probabilities of all pixels of a photo of ``size`` (height, width) that shows all these faces."""
        rows, columns = (torch.arange(side) + 0.5 for side in size)
        points = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)
        return self.at(points.expand(len(self.frames), -1, -1, 2))


class FaceSegmenter:
    """Segments faces whose landmarks are known; holds the weights of one device."""

    def __init__(self, network: SegmentationNetwork, device: torch.device | str = "cpu") -> None:
        if network.settings.classes != len(CLASSES):
            raise AssetError(
                f"expected a network of {len(CLASSES)} classes, got {network.settings.classes}: "
                "use the file that belongs to this version of facewright."
            )
        self.device = torch.device(device)
        self.size = network.settings.input_size
        self.run = runner_of(network, self.device)

    @classmethod
    def load(cls, device: torch.device | str = "cpu", weights: Path | None = None) -> "FaceSegmenter":
        """Load the shipped weights, or those of a file.

        Raises:
            AssetError: the file is missing, damaged or of another version.
        """
        path = weights or asset_path(WEIGHTS)
        return cls(read_weights(path, SegmentationNetwork, SegmentationNetworkSettings), device)

    def __call__(
        self, photos: Sequence[Float[Tensor, "3 _ _"]], points: Sequence[Float[Tensor, "478 2"]]
    ) -> FaceSegmentation:
        """Segment one face of each photo.

        Args:
            photos: sRGB in [0, 1]; a grey one has three equal channels. One with several faces comes as
                often.
            points: dense landmarks in px of their photo.

        Raises:
            InputError: not as many photos as faces, or none.
        """
        if len(photos) != len(points) or not photos:
            raise InputError(f"expected as many photos as faces, got {len(photos)} and {len(points)}.")
        frames = frames_from_landmarks(torch.stack(list(points)).detach().cpu().double().numpy())
        return self.in_frames(photos, frames)

    def in_frames(
        self, photos: Sequence[Float[Tensor, "3 _ _"]], frames: Float[np.ndarray, "B 4"]
    ) -> FaceSegmentation:
        """Segment one square of each photo; it learnt on those that ``frames_from_landmarks`` gives."""
        crops = torch.cat(
            [
                cut_color_crops(photo.to(self.device).float(), frame[None], self.size)
                for photo, frame in zip(photos, frames, strict=True)
            ]
        )
        (logits,) = self.run(crops)
        return FaceSegmentation(logits.float().softmax(1), frames)
