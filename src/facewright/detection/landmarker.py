"""478 landmarks of each face that the detector found."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from facewright.core.assets import asset_path
from facewright.networks.heads import LandmarkNetwork, LandmarkNetworkSettings
from facewright.networks.runtime import runner_of
from facewright.networks.weights import read_weights

from .crop import CROP_MARGIN, cut_crops, frames_from_landmarks, luma, photo_from_crop
from .records import DetectedFace, Landmarks

WEIGHTS = "landmarker.safetensors"
HOPELESS = 0.1  # presence on the first look below which there is no second


class FaceLandmarker:
    """Finds dense landmarks in crops around detected faces; holds the weights of one device."""

    def __init__(self, network: LandmarkNetwork, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.size = network.settings.input_size
        self.run = runner_of(network, self.device)

    @classmethod
    def load(cls, device: torch.device | str = "cpu", path: Path | None = None) -> "FaceLandmarker":
        """Load the shipped weights, or those of ``path``.

        Raises:
            AssetError: the file is missing, damaged or of another version.
        """
        network = read_weights(path or asset_path(WEIGHTS), LandmarkNetwork, LandmarkNetworkSettings)
        return cls(network, device)

    def __call__(self, photo: Float[Tensor, "3 H W"], faces: list[DetectedFace]) -> list[Landmarks]:
        """Landmarks of each face of a photo (sRGB in [0, 1]), in the order of ``faces``."""
        return self.locate(luma(photo.to(self.device)), faces)

    def locate(self, grey: Float[Tensor, "H W"], faces: list[DetectedFace]) -> list[Landmarks]:
        """Landmarks of each face of a grey photo on the landmarker's device."""
        if not faces:
            return []
        frames = np.array([(*face.center, face.side * CROP_MARGIN, face.roll) for face in faces], np.float64)
        points, presence = self._points_in(grey, frames)
        # The second crop lies on the landmarks of the first; what is surely no face is not looked at again.
        again = np.flatnonzero(presence > HOPELESS)
        if len(again):
            points[again], presence[again] = self._points_in(grey, frames_from_landmarks(points[again]))
        return [
            _record(shape, sure, face, grey)
            for shape, sure, face in zip(points, presence.tolist(), faces, strict=True)
        ]

    def _points_in(
        self, grey: Float[Tensor, "H W"], frames: Float[np.ndarray, "B 4"]
    ) -> tuple[Float[np.ndarray, "B 478 2"], Float[np.ndarray, " B"]]:
        """Landmarks in px of the photo and presence, from one look at each crop."""
        with torch.inference_mode():
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
