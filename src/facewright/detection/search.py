"""From a photo to the landmarks of all its faces."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from .crop import luma
from .detector import FaceDetector
from .landmarker import FaceLandmarker
from .records import DEFAULTS, DetectionSettings, Landmarks

SPARE_FACES = 16


def detect(
    photo: Float[Tensor, "3 H W"],
    *,
    detector: FaceDetector | None = None,
    landmarker: FaceLandmarker | None = None,
    settings: DetectionSettings = DEFAULTS,
) -> list[Landmarks]:
    """Find all faces of a photo and their 478 landmarks.

    Args:
        photo: sRGB in [0, 1]; the work is done on its device.
        detector: to use again for many photos; loaded for this call if absent.
        landmarker: likewise.
        settings: how faces are searched for.

    Returns:
        One record a face, by size x score, the main face first; empty if there is none.

    Raises:
        AssetError: the shipped weights are missing or damaged.
    """
    detector = detector or FaceDetector.load(photo.device)
    landmarker = landmarker or FaceLandmarker.load(photo.device)
    grey = luma(photo.to(detector.device).float())
    # Some finds are no faces; the landmarker drops them, so more are looked at than are asked for.
    faces = detector.search(grey, replace(settings, max_faces=settings.max_faces + SPARE_FACES))
    found = landmarker.locate(grey.to(landmarker.device), faces)
    sure = [face for face in found if face.confidence >= settings.min_confidence]
    return _main_face_first(_distinct(sure, settings.max_overlap))[: settings.max_faces]


def _main_face_first(faces: list[Landmarks]) -> list[Landmarks]:
    def weight(face: Landmarks) -> float:
        return float((face.box[2:] - face.box[:2]).prod().sqrt()) * face.score

    return sorted(faces, key=weight, reverse=True)


def _distinct(faces: list[Landmarks], max_overlap: float) -> list[Landmarks]:
    """Of finds whose landmarks came to lie on one face only the surest."""
    kept: list[Landmarks] = []
    for face in sorted(faces, key=lambda face: face.presence * face.score, reverse=True):
        if all(_shared(face.box, other.box) <= max_overlap for other in kept):
            kept.append(face)
    return kept


def _shared(a: Float[Tensor, "4"], b: Float[Tensor, "4"]) -> float:
    """Intersection of two boxes over the smaller of them."""
    sides = (torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2])).clamp(min=0)
    smaller = torch.minimum((a[2:] - a[:2]).prod(), (b[2:] - b[:2]).prod())
    return float(sides.prod() / smaller.clamp(min=1e-6))
