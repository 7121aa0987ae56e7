"""Faces that lie on their side or upside down, further than a finder follows a roll."""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from .records import DEFAULTS, Landmarks
from .search import distinct, main_face_first

# Three further searches see three times as much that is no face: they must be surer of one.
LEAST_CONFIDENCE = 0.99


def find_turned(
    finder: Callable[[Tensor], list[Landmarks]], photo: Float[Tensor, "3 H W"]
) -> list[Landmarks]:
    """Faces that a finder sees in a photo after a quarter, half or three quarter turn, the main one first.

    Args:
        finder: takes a photo and returns its faces.
        photo: sRGB in [0, 1].

    Returns:
        Pixels are those of the photo as it was given.
    """
    found = [
        _turned_back(face, turns, photo)
        for turns in (1, 2, 3)
        for face in finder(torch.rot90(photo, turns, (1, 2)).contiguous())
        if face.confidence >= LEAST_CONFIDENCE
    ]
    return main_face_first(distinct(found, DEFAULTS.max_overlap))  # two of the turns may show one face


def _turned_back(face: Landmarks, turns: int, photo: Float[Tensor, "3 H W"]) -> Landmarks:
    """A face of the photo turned to the left by quarters, in pixels of the photo itself."""
    height, width = photo.shape[1:]
    x, y = face.points.unbind(-1)
    points = torch.stack({1: (width - y, x), 2: (width - x, height - y), 3: (y, height - x)}[turns], -1)
    return replace(face, points=points, box=torch.cat([points.amin(0), points.amax(0)]))
