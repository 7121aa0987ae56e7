"""What finds the faces of a photo and their landmarks: the shipped networks, or a plug-in in their place."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.core.errors import NoFaceError
from facewright.detection import DetectionSettings, FaceDetector, FaceLandmarker, Landmarks, detect
from facewright.detection.turned import find_turned
from facewright.image.io import Photograph

# Takes a photo (3, H, W), sRGB in [0, 1], and returns its faces, the main one first.
Finder = Callable[[Tensor], list[Landmarks]]
LEAST_FACE = 12.0  # px of the photo as it is searched; see DetectionSettings.longer_side


@dataclass(frozen=True)
class ShippedFinder:
    """The shipped detector and landmarker.

    Attributes:
        detector: finds faces.
        landmarker: finds the 478 points of a face.
    """

    detector: FaceDetector
    landmarker: FaceLandmarker

    @classmethod
    def load(cls, device: torch.device) -> "ShippedFinder":
        """Load the shipped weights.

        Raises:
            AssetError: they are missing or damaged.
        """
        return cls(FaceDetector.load(device), FaceLandmarker.load(device))

    def __call__(self, photo: Float[Tensor, "3 H W"]) -> list[Landmarks]:
        """Faces of a photo, sRGB in [0, 1], the main one first."""
        return detect(photo, detector=self.detector, landmarker=self.landmarker)


def find_faces(finder: Finder, photo: Photograph) -> list[Landmarks]:
    """Faces of a photo, the main one first; where none is upright, those that lie on their side.

    Raises:
        NoFaceError: there is none.
    """
    faces = finder(photo.pixels) or find_turned(finder, photo.pixels)
    if faces:
        return faces
    told = f"no face was found in {photo.name}"
    if isinstance(finder, ShippedFinder):
        longer = max(photo.pixels.shape[-2:])
        least = LEAST_FACE * max(1.0, longer / DetectionSettings().longer_side) * photo.scale
        told += (
            f": expected a face that is at least about {least:.0f} pixels wide in this photo and looks not "
            "too far away from the camera"
        )
    raise NoFaceError(" ".join([f"{told}.", *(f"Besides, {note}" for note in photo.notes)]))
