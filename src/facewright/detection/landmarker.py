"""478 landmarks of each face that the detector found."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from facewright.core.assets import asset_path
from facewright.networks.heads import (
    EyeNetwork,
    EyeNetworkSettings,
    LandmarkNetwork,
    LandmarkNetworkSettings,
)
from facewright.networks.runtime import runner_of
from facewright.networks.weights import read_weights

from .crop import CROP_MARGIN, cut_crops, frames_from_landmarks, luma, photo_from_crop
from .eyes import EyeLook
from .records import DetectedFace, Landmarks

FIRST, SECOND = "landmarker_first.safetensors", "landmarker_second.safetensors"
EYES = "landmarker_eyes.safetensors"
# Points (B, 478, 2) in px of the photo and presence (B,) of the crops of a grey photo at frames (B, 4).
Look = Callable[[Tensor, np.ndarray], tuple[np.ndarray, np.ndarray]]
HOPELESS = 0.3  # presence on the first look below which there is no second


class FaceLandmarker:
    """Finds dense landmarks in crops around detected faces; holds the weights of one device.

    The first look is quick and tells faces from what the detector took for one; the second looks closer, in a
    crop that lies on the landmarks of the first. Eyes, if their network is given, are looked at once more.
    """

    def __init__(
        self,
        first: LandmarkNetwork,
        second: LandmarkNetwork,
        device: torch.device | str = "cpu",
        eyes: EyeNetwork | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.eyes = EyeLook(eyes, self.device) if eyes else None
        self.looks: list[Look] = [_Network(network, self.device) for network in (first, second)]

    @classmethod
    def load(
        cls, device: torch.device | str = "cpu", first: Path | None = None, second: Path | None = None
    ) -> "FaceLandmarker":
        """Load the shipped weights, or those of ``first`` and ``second``, then without a look at eyes.

        Raises:
            AssetError: a file is missing, damaged or of another version.
        """
        coarse, fine = (
            read_weights(path, LandmarkNetwork, LandmarkNetworkSettings)
            for path in (first or asset_path(FIRST), second or asset_path(SECOND))
        )
        eyes = None
        if first is None and second is None:
            eyes = read_weights(asset_path(EYES), EyeNetwork, EyeNetworkSettings)
        return cls(coarse, fine, device, eyes)

    def __call__(self, photo: Float[Tensor, "3 H W"], faces: list[DetectedFace]) -> list[Landmarks]:
        """Landmarks of each face of a photo (sRGB in [0, 1]), in the order of ``faces``."""
        return self.locate(luma(photo.to(self.device)), faces)

    def locate(self, grey: Float[Tensor, "H W"], faces: list[DetectedFace]) -> list[Landmarks]:
        """Landmarks of each face of a grey photo on the landmarker's device."""
        if not faces:
            return []
        frames = np.array([(*face.center, face.side * CROP_MARGIN, face.roll) for face in faces], np.float64)
        first, second = self.looks
        points, presence = first(grey, frames)
        # The second crop lies on the landmarks of the first; what is surely no face is not looked at again.
        again = np.flatnonzero(presence > HOPELESS)
        if len(again):
            points[again], presence[again] = second(grey, frames_from_landmarks(points[again]))
            if self.eyes is not None:
                points[again] = self.eyes(grey, points[again])
        return [
            _record(shape, sure, face, grey)
            for shape, sure, face in zip(points, presence.tolist(), faces, strict=True)
        ]


class _Network:
    """One network and the size of its crops."""

    def __init__(self, network: LandmarkNetwork, device: torch.device) -> None:
        self.size = network.settings.input_size
        self.run = runner_of(network, device)

    def __call__(
        self, grey: Float[Tensor, "H W"], frames: Float[np.ndarray, "B 4"]
    ) -> tuple[Float[np.ndarray, "B 478 2"], Float[np.ndarray, " B"]]:
        """Landmarks in px of the photo and presence, from one look at each crop."""
        in_crop, logits = self.run(cut_crops(grey, frames, self.size))
        packed = torch.cat([in_crop[..., :2].flatten(1), logits[:, None]], 1).double().cpu().numpy()
        points = photo_from_crop(packed[:, :-1].reshape(-1, 478, 2), frames)
        return points, 1.0 / (1.0 + np.exp(-packed[:, -1]))


def _record(
    shape: Float[np.ndarray, "478 2"], presence: float, face: DetectedFace, grey: Float[Tensor, "H W"]
) -> Landmarks:
    points = torch.from_numpy(shape.astype(np.float32)).to(grey.device)
    box = torch.cat([points.amin(0), points.amax(0)])
    return Landmarks(points, presence, box, face.score)
