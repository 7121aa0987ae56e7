"""From a photo to the landmarks of all its faces."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from facewright.image.io import Photograph, photograph_of

from .crop import luma
from .detector import FaceDetector
from .landmarker import FaceLandmarker
from .records import DEFAULTS, DetectionSettings, Landmarks

SPARE_FACES = 16


def detect(
    photo: Path | str | np.ndarray | Float[Tensor, "3 H W"] | Photograph,
    *,
    detector: FaceDetector | None = None,
    landmarker: FaceLandmarker | None = None,
    settings: DetectionSettings = DEFAULTS,
) -> list[Landmarks]:
    """Find all faces of a photo and their 478 landmarks.

    Args:
        photo: a file, an array, sRGB in [0, 1] as a tensor, or a photo that was read before (see
            ``photograph_of``); a tensor's device does the work.
        detector: to use again for many photos; loaded for this call if absent.
        landmarker: likewise.
        settings: how faces are searched for.

    Returns:
        One record a face, by size x score, the main face first; empty if there is none. Pixels are those of
        the upright photo, even if a large file is reduced while it is read; of a ``Photograph`` those of its
        ``pixels``.

    Raises:
        ImageError: the photo cannot be read.
        AssetError: the shipped weights are missing or damaged.
    """
    read = photograph_of(photo)
    detector = detector or FaceDetector.load(read.pixels.device)
    landmarker = landmarker or FaceLandmarker.load(read.pixels.device)
    grey = luma(read.pixels.to(detector.device).float())
    # Some finds are no faces; the landmarker drops them, so more are looked at than are asked for.
    faces = detector.search(grey, replace(settings, max_faces=settings.max_faces + SPARE_FACES))
    found = landmarker.locate(grey.to(landmarker.device), faces)
    sure = [face for face in found if face.confidence >= settings.min_confidence]
    chosen = main_face_first(distinct(sure, settings.max_overlap))[: settings.max_faces]
    # Of a photo that was read before, pixels are those of the record's picture.
    scale = 1.0 if isinstance(photo, Photograph) else read.scale
    return [replace(face, points=face.points * scale, box=face.box * scale) for face in chosen]


def main_face_first(faces: list[Landmarks]) -> list[Landmarks]:
    """Faces by size x score."""

    def weight(face: Landmarks) -> float:
        return float((face.box[2:] - face.box[:2]).prod().sqrt()) * face.score

    return sorted(faces, key=weight, reverse=True)


def distinct(faces: list[Landmarks], max_overlap: float) -> list[Landmarks]:
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
