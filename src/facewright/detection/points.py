"""The 478 landmarks by number: where the eyes and the mouth are, and which way a face is up by them."""

import torch
from jaxtyping import Float
from torch import Tensor

# The subject's right, which is on the left of a frontal image, comes first.
OUTER_EYES = (33, 263)  # the distance between them is the yardstick of landmark errors
EYE_CORNERS = ((33, 133), (362, 263))
MOUTH_CORNERS = (61, 291)
# Margins of the lips, outer and inner, and of the lids.
LIPS = (
    *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409),
    *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415),
)
LIDS = (
    *(33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    *(263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
)
IRISES = tuple(range(468, 478))
# Lids, the ring around them and the iris of each eye, point for point the mirror image of one another.
EYES = (
    (
        *LIDS[:16],
        *(130, 25, 110, 24, 23, 22, 26, 112, 243, 190, 56, 28, 27, 29, 30, 247),
        *(468, 469, 470, 471, 472),
    ),
    (
        *LIDS[16:],
        *(359, 255, 339, 254, 253, 252, 256, 341, 463, 414, 286, 258, 257, 259, 260, 467),
        *(473, 476, 475, 474, 477),
    ),
)


def towards_left_eye(points: Float[Tensor, "B 478 2"]) -> Float[Tensor, "B 2"]:
    """Which way the x axis of an upright face points in an image; not of unit length.

    It follows the eyes and the line from eyes to mouth, so it stays defined in profile.
    """
    right, left = (points[:, list(pair)].mean(1) for pair in EYE_CORNERS)
    down = points[:, list(MOUTH_CORNERS)].mean(1) - 0.5 * (right + left)
    return (left - right) + torch.stack([down[:, 1], -down[:, 0]], -1)
