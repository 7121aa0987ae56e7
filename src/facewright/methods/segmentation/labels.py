"""What each pixel of a training crop may be: one class where it is known, several where it is not.

A label is a byte whose bits are the classes that a pixel may have (bit k for class k of ``CLASSES``).
Synthetic photos have one bit. Of real photos only the landmarks are known: these leave open what hides
the face.
"""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from facewright.data.records import SampleMasks
from facewright.detection.points import OUTER_EYES
from facewright.detection.segmentation import CLASSES

BIT = {name: 1 << number for number, name in enumerate(CLASSES)}
ANY = sum(BIT.values())

# Rings of the 478 points.
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
EYES = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
)
INNER_LIPS = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
UPPER_LIP, LOWER_LIP = 13, 14
# Shares of the oval's size about its middle: surely inside, surely beside the face, beside the head.
INSIDE, BESIDE, FAR = 0.9, 1.12, 2.1
GLASSES = 0.34  # of the outer eye distance that glasses reach from the eyes' middle, up and down
OPEN = 0.05  # of the outer eye distance between the lips from which something is surely seen between them


def labels_of_masks(masks: SampleMasks) -> UInt8[Tensor, "H W"]:
    """The label of a synthetic photo, which is exact."""
    label = torch.full(masks.head.shape, BIT["background"], dtype=torch.uint8)
    label[masks.head] = BIT["eyes"]  # what is no skin and no lining of the mouth
    label[masks.head & masks.skin] = BIT["skin"]
    label[masks.head & masks.face] = BIT["face"]
    label[masks.head & masks.inner_mouth] = BIT["inner_mouth"]
    label[masks.occluder] = BIT["occluder"]
    return label


def labels_of_landmarks(points: Float[np.ndarray, "478 2"], size: int) -> UInt8[Tensor, "S S"]:
    """What the pixels of a crop may be as far as its landmarks tell.

    Args:
        points: in px of the crop, upright.
        size: of the crop in px.
    """
    picture = Image.new("L", (size, size), BIT["background"] | BIT["occluder"])
    draw = ImageDraw.Draw(picture)
    oval, beside = points[list(OVAL)], BIT["background"] | BIT["skin"] | BIT["occluder"]
    hull = (oval.min(0) + oval.max(0)) / 2
    eye = float(np.linalg.norm(points[OUTER_EYES[0]] - points[OUTER_EYES[1]]))
    face = BIT["face"] | BIT["occluder"]
    for share, label in ((FAR, beside), (BESIDE, beside | BIT["face"]), (INSIDE, face)):
        _fill(draw, hull + (oval - hull) * share, label)
    # What no fringe, hat or glasses reach: below the eyes.
    below = np.stack([p.mean(0) for p in (points[list(ring)] for ring in EYES)])[:, 1].max() + GLASSES * eye
    core = np.asarray(picture).copy()
    core[max(int(np.ceil(below)), 0) :][core[max(int(np.ceil(below)), 0) :] == face] = BIT["face"]
    picture = Image.fromarray(core)
    draw = ImageDraw.Draw(picture)
    for ring in EYES:
        _fill(draw, points[list(ring)], face | BIT["eyes"], outline=3)
        middle = points[list(ring)].mean(0)
        _fill(draw, middle + (points[list(ring)] - middle) * 0.7, BIT["eyes"] | BIT["occluder"])
    lips = points[list(INNER_LIPS)]
    _fill(draw, lips, BIT["face"] | BIT["inner_mouth"], outline=3)
    if np.linalg.norm(points[UPPER_LIP] - points[LOWER_LIP]) > OPEN * eye:
        middle = lips.mean(0)
        _fill(draw, middle + (lips - middle) * 0.75, BIT["inner_mouth"])
    return torch.from_numpy(np.array(picture))


def _fill(draw: ImageDraw.ImageDraw, points: np.ndarray, label: int, outline: int = 0) -> None:
    # Pillow counts from the middle of the first pixel.
    corners = [(float(x) - 0.5, float(y) - 0.5) for x, y in points]
    draw.polygon(corners, fill=label)
    if outline:
        draw.line([*corners, corners[0]], fill=label, width=outline)
