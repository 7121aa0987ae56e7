"""Where things are put on a head: places that every model with iBUG's 68 points has."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray


@dataclass(frozen=True)
class FaceFrame:
    """Places on one head, mm, head frame.

    Attributes:
        eyes: middle of the right and of the left eye's opening.
        bridge: of the nose, between the eyes.
        brow: height of the brows.
        chin: its point.
        mouth: middle.
        tip: of the nose.
        ear: half of the head's width at the ears, height and depth of the outline's ends there.
        top: height of the head.
        middle: depth of the head's vertical axis.
        neck: lowest height of the skin.
    """

    eyes: Float[ndarray, "2 3"]
    bridge: Float[ndarray, " 3"]
    brow: float
    chin: Float[ndarray, " 3"]
    mouth: Float[ndarray, " 3"]
    tip: Float[ndarray, " 3"]
    ear: Float[ndarray, " 3"]
    top: float
    middle: float
    neck: float

    @classmethod
    def of(cls, landmarks: Float[ndarray, "68 3"], skin: Float[ndarray, "N 3"]) -> "FaceFrame":
        """Places of a head by its 68 points and the vertices of its skin."""
        ends = landmarks[[0, 16]]
        return cls(
            eyes=np.stack([landmarks[36:42].mean(0), landmarks[42:48].mean(0)]),
            bridge=landmarks[27],
            brow=float(landmarks[17:27, 1].mean()),
            chin=landmarks[8],
            mouth=landmarks[48:60].mean(0),
            tip=landmarks[30],
            ear=np.array([np.abs(ends[:, 0]).mean(), ends[:, 1].mean(), ends[:, 2].mean()]),
            top=float(skin[:, 1].max()),
            middle=float((skin[skin[:, 1] > landmarks[27, 1], 2].min() + landmarks[27, 2]) / 2),
            neck=float(skin[:, 1].min()),
        )
