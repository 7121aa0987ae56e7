"""The 478 landmarks by number: where the eyes and the mouth are, and which way a face is up by them."""

import torch
from jaxtyping import Float
from torch import Tensor

# The subject's right, which is on the left of a frontal image, comes first.
OUTER_EYES = (33, 263)  # the distance between them is the yardstick of landmark errors
EYE_CORNERS = ((33, 133), (362, 263))
MOUTH_CORNERS = (61, 291)


def towards_left_eye(points: Float[Tensor, "B 478 2"]) -> Float[Tensor, "B 2"]:
    """Which way the x axis of an upright face points in an image; not of unit length.

    It follows the eyes and the line from eyes to mouth, so it stays defined in profile.
    """
    right, left = (points[:, list(pair)].mean(1) for pair in EYE_CORNERS)
    down = points[:, list(MOUTH_CORNERS)].mean(1) - 0.5 * (right + left)
    return (left - right) + torch.stack([down[:, 1], -down[:, 0]], -1)
