"""MediaPipe's face landmarker as an optional plug-in; its model file is given by the user."""

import importlib
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.core.errors import AssetError, UnavailableError
from facewright.networks.heads import LANDMARKS

from .records import Landmarks

MAX_TOLD = 200  # characters of MediaPipe's own messages


class MediaPipeLandmarker:
    """Finds faces and their 478 landmarks with a MediaPipe ``face_landmarker.task`` bundle."""

    def __init__(self, model: Any) -> None:
        self._model = model

    @classmethod
    def load(cls, path: Path, *, max_faces: int = 16, min_score: float = 0.3) -> "MediaPipeLandmarker":
        """Open a model bundle.

        Raises:
            UnavailableError: the package mediapipe is not installed.
            AssetError: the bundle is missing or cannot be read.
        """
        try:
            from mediapipe.tasks import python as tasks  # pyright: ignore[reportMissingImports]
            from mediapipe.tasks.python import vision  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise UnavailableError(
                "expected the optional package mediapipe, which is not installed: "
                "run `pip install 'facewright[mediapipe]'`, or use the landmarker that facewright ships."
            ) from error
        if not path.is_file():
            raise AssetError(f"expected a MediaPipe face_landmarker.task bundle, found nothing at {path}.")
        options = vision.FaceLandmarkerOptions(
            base_options=tasks.BaseOptions(model_asset_path=str(path)),
            num_faces=max_faces,
            min_face_detection_confidence=min_score,
            min_face_presence_confidence=min_score,
        )
        try:
            return cls(vision.FaceLandmarker.create_from_options(options))
        except (RuntimeError, ValueError) as error:
            raise AssetError(f"{path} is not a MediaPipe face_landmarker.task bundle ({error}).") from error

    def __call__(self, photo: Float[Tensor, "3 H W"]) -> list[Landmarks]:
        """Landmarks of the faces of a photo (sRGB in [0, 1]), the largest first.

        Raises:
            UnavailableError: MediaPipe itself fails.
            AssetError: the bundle does not have the 478 points.
        """
        mediapipe: Any = importlib.import_module("mediapipe")

        pixels = (photo.detach().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().cpu().numpy()
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
        extent = torch.tensor([photo.shape[2], photo.shape[1]], dtype=torch.float32)
        try:
            faces = self._model.detect(image).face_landmarks
        except (RuntimeError, ValueError, OSError) as error:
            told = " ".join(str(error).split())[:MAX_TOLD]
            raise UnavailableError(
                f"MediaPipe failed ({told}): leave out --mediapipe to use the shipped landmarker."
            ) from error
        found = []
        for face in faces:
            if len(face) != LANDMARKS:
                raise AssetError(
                    f"expected a MediaPipe bundle that finds {LANDMARKS} points of a face (irises included), "
                    f"got {len(face)}: use face_landmarker.task."
                )
            points = (torch.tensor([(point.x, point.y) for point in face]) * extent).to(photo.device)
            found.append(Landmarks(points, 1.0, torch.cat([points.amin(0), points.amax(0)])))
        return sorted(found, key=lambda face: float((face.box[2:] - face.box[:2]).prod()), reverse=True)
