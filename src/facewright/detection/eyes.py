"""A closer look at each eye: lids and irises are a few pixels of what finds 478 points of a whole face.

The right eye is looked at as it is and the left one in the mirror, by one network.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from facewright.detection.crop import cut_crops, photo_from_crop
from facewright.detection.landmark_errors import upright_frames
from facewright.detection.points import EYE_CORNERS, EYES
from facewright.networks.heads import EyeNetwork
from facewright.networks.runtime import runner_of

SIDE = 0.9  # of the crop, over the radius of the face's landmarks
# Breadth of an eye over that radius up to which it is turned away too far to be looked at, and from which
# on what is seen counts in full.
TURNED_AWAY = (0.2, 0.35)


def eye_frames(
    points: Float[np.ndarray, "B 478 2"],
) -> tuple[Float[np.ndarray, "B 2 4"], Float[np.ndarray, "B 2"]]:
    """Crop frames (centre x, centre y, side in px, roll in radians) of the right and left eye.

    Returns:
        Frames, and how much of a look at each eye counts, 0 to 1.
    """
    turn, radius = (part.numpy() for part in upright_frames(torch.from_numpy(points)))
    corners = points[:, EYE_CORNERS]
    around = np.stack([SIDE * radius, np.arctan2(turn[:, 1, 0], turn[:, 0, 0])], -1)
    frames = np.concatenate([corners.mean(2), np.repeat(around[:, None], 2, 1)], -1)
    breadth = np.linalg.norm(corners[:, :, 0] - corners[:, :, 1], axis=-1)
    share = (breadth / np.maximum(radius, 1e-9)[:, None] - TURNED_AWAY[0]) / (TURNED_AWAY[1] - TURNED_AWAY[0])
    return frames, share.clip(0, 1)


class EyeLook:
    """Finds the points of eyes whose faces' landmarks are known roughly; holds weights of one device."""

    def __init__(self, network: EyeNetwork, device: torch.device) -> None:
        self.size = network.settings.input_size
        self.run = runner_of(network, device)

    def __call__(
        self, grey: Float[Tensor, "H W"], points: Float[np.ndarray, "B 478 2"]
    ) -> Float[np.ndarray, "B 478 2"]:
        """The landmarks (px of the photo) with those of the eyes seen anew."""
        frames, share = eye_frames(points)
        crops = cut_crops(grey, frames.transpose(1, 0, 2).reshape(-1, 4), self.size)
        crops[len(points) :] = crops[len(points) :].flip(-1)
        found = self.run(crops)[0].double().cpu().numpy().reshape(2, len(points), -1, 2)
        found[1, ..., 0] = 1 - found[1, ..., 0]
        result = points.copy()
        for side, rows in enumerate(EYES):
            seen = photo_from_crop(found[side], frames[:, side])
            result[:, rows] += share[:, side, None, None] * (seen - points[:, rows])
        return result
