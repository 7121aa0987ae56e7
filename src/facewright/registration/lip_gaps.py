"""How far the mouth is open: the gap between two landmarks is seen better than where each lies.

Lids are not asked: the landmarker sees closed eyes on a scan as open ones.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray

from facewright.models.face_model import FaceModel
from facewright.registration.records import ScanLandmarks

# Upper and lower points of the 478.
LIPS = ((13, 14), (82, 87), (312, 317), (81, 178), (311, 402), (80, 88), (310, 318))
TRUSTED = 2.0  # mm; landmarks that err by more (on plaster) tell no gap
RELATIVE = 0.5  # of the landmarks' own error: what errs together does not change a gap
INDEPENDENT = 4.0  # pairs that all of them count for
CLOSED = 1.0  # mm more than on the mean head, on the median of the pairs, up to which lips are closed


@dataclass(frozen=True)
class LipGaps:
    """Pairs of landmarks that face each other across the mouth.

    Attributes:
        first: rows of the upper ones among the landmarks that were found.
        second: of those below them.
        way: unit, from the lower to the upper on the mean head, head frame.
        rest: mm between them on the mean head.
        weight: of the squared difference in mm.
    """

    first: Int64[ndarray, " N"]
    second: Int64[ndarray, " N"]
    way: Float[ndarray, "N 3"]
    rest: Float[ndarray, " N"]
    weight: Float[ndarray, " N"]

    @classmethod
    def of(cls, model: FaceModel, landmarks: ScanLandmarks) -> "LipGaps":
        """The pairs of which both are there and trusted."""
        points = model.landmark_points(model.mean, "dense478").double().numpy()
        row = {int(index): number for number, index in enumerate(landmarks.index)}
        pairs = [(row[a], row[b]) for a, b in LIPS if a in row and b in row]
        pairs = [pair for pair in pairs if landmarks.sigma[list(pair)].max() < TRUSTED]
        errors = RELATIVE * np.array([float(np.hypot(*landmarks.sigma[list(pair)])) for pair in pairs])
        weight = min(1.0, INDEPENDENT / max(len(pairs), 1)) / errors**2
        first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        apart = points[landmarks.index[first]] - points[landmarks.index[second]]
        rest = np.linalg.norm(apart, axis=1)
        return cls(first, second, apart / rest[:, None].clip(1e-9), rest, weight)

    def wanted(self, seen: Float[ndarray, " N"]) -> Float[ndarray, " N"]:
        """What gaps are to be, from those that were seen.

        Lips that are hardly further apart than the mean head's are closed; and of none do the landmarks come
        closer than half as near as the mean head's, where lips would cross.
        """
        closed = len(seen) > 0 and float(np.median(seen - self.rest)) < CLOSED
        return np.clip(seen, 0.5 * self.rest, self.rest if closed else None)
