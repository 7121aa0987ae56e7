"""What detection hands on: faces, their landmarks, and how both are searched for."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class DetectedFace:
    """A face found in a photo.

    Attributes:
        box: (x0, y0, x1, y1) in px of the photo, upright; may leave the photo.
        score: of the detector, in [0, 1].
        center: (x, y) of the face in px.
        side: of the face's larger extent, in px.
        roll: turn of the head in the image plane in radians, positive clockwise as seen.
    """

    box: Float[Tensor, "4"]
    score: float
    center: tuple[float, float]
    side: float
    roll: float


@dataclass(frozen=True)
class Landmarks:
    """The 478 dense landmarks of one face (MediaPipe's order; the last ten are the irises).

    Attributes:
        points: (x, y) in px of the photo, origin at the corner of the top-left pixel; may leave the photo.
        presence: how sure the landmarker is that this is a face, in [0, 1].
        box: (x0, y0, x1, y1) around the points, in px.
        score: of the detector, in [0, 1].
    """

    points: Float[Tensor, "478 2"]
    presence: float
    box: Float[Tensor, "4"]
    score: float = 1.0

    @property
    def confidence(self) -> float:
        """Probability of a face by both networks, their odds multiplied as if they erred independently."""
        sure = self.score * self.presence
        return sure / max(sure + (1.0 - self.score) * (1.0 - self.presence), 1e-12)


@dataclass(frozen=True)
class DetectionSettings:
    """How faces are searched for.

    Attributes:
        longer_side: to which a larger photo is reduced for the search, in px; faces under about 12 px of the
            reduced photo are not found.
        min_score: of the detector; below it the landmarker does not look at a find.
        min_confidence: of detector and landmarker together; below it a find is dropped.
        max_faces: the largest and surest are kept.
        max_overlap: of two faces, as the intersection over the smaller; beyond it the surer one stays.
    """

    longer_side: int = 640
    min_score: float = 0.35
    min_confidence: float = 0.97
    max_faces: int = 64
    max_overlap: float = 0.5


DEFAULTS = DetectionSettings()
