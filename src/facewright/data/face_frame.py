"""Where things are put on heads: places that every model with iBUG's 68 points has."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class FaceFrame:
    """Places on heads, mm, head frame.

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

    eyes: Float[Tensor, "B 2 3"]
    bridge: Float[Tensor, "B 3"]
    brow: Float[Tensor, " B"]
    chin: Float[Tensor, "B 3"]
    mouth: Float[Tensor, "B 3"]
    tip: Float[Tensor, "B 3"]
    ear: Float[Tensor, "B 3"]
    top: Float[Tensor, " B"]
    middle: Float[Tensor, " B"]
    neck: Float[Tensor, " B"]

    @classmethod
    def of(cls, landmarks: Float[Tensor, "B 68 3"], skin: Float[Tensor, "B N 3"]) -> "FaceFrame":
        """Places of heads by their 68 points and the vertices of their skin."""
        ends = landmarks[:, [0, 16]]
        bridge = landmarks[:, 27]
        above = skin[..., 1] > bridge[:, 1:2]
        back = torch.where(above, skin[..., 2], torch.inf).amin(1)
        return cls(
            eyes=torch.stack([landmarks[:, 36:42].mean(1), landmarks[:, 42:48].mean(1)], 1),
            bridge=bridge,
            brow=landmarks[:, 17:27, 1].mean(1),
            chin=landmarks[:, 8],
            mouth=landmarks[:, 48:60].mean(1),
            tip=landmarks[:, 30],
            ear=torch.cat([ends[..., :1].abs(), ends[..., 1:]], -1).mean(1),
            top=skin[..., 1].amax(1),
            middle=(back + bridge[:, 2]) / 2,
            neck=skin[..., 1].amin(1),
        )
