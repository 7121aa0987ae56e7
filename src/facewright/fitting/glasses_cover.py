"""Where spectacles hide the skin of a photo, or throw their shadow on it."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from facewright.detection import segmentation as parts
from facewright.detection.crop import photo_from_crop
from facewright.detection.glasses_look import CLASSES, WIDE, GlassesLook
from facewright.detection.segmentation import FaceSegmentation
from facewright.image.cover import Cover

FRAME = (0.15, 0.45)  # shares of frame in a pixel, from which on it is doubted, and surely no skin
AROUND, BELOW = 1.2, 2.5  # mm around frames that are taken for them; below them lies their shadow
RIM, BAR, LENS, DARK = (CLASSES.index(name) for name in ("rim", "bar", "lens", "dark"))
FACE, OCCLUDER = parts.CLASSES.index("face"), parts.CLASSES.index("occluder")


def glasses_cover(look: GlassesLook, before: Cover, *, dark: bool) -> Cover:
    """What spectacles cover, together with what else lies before a face.

    Args:
        look: at the photo; the spectacles in it are believed.
        before: of what is left without them.
        dark: whether the lenses hide what is behind them.
    """
    planes = look.shares
    texels = planes.shape[-1] / WIDE  # to a mm
    frame = ((planes[RIM] + planes[BAR] - FRAME[0]) / (FRAME[1] - FRAME[0])).clamp(0, 1)[None, None]
    below = max(1, round(BELOW * texels))
    frame = _wider(frame, AROUND * texels)
    frame = max_pool2d(pad(frame, (0, 0, below, 0)), (below + 1, 1), 1)
    lenses = planes[DARK] + planes[LENS] if dark else planes[DARK]
    own = torch.maximum(frame[0], lenses[None])

    def cover(places: Float[Tensor, "N 2"]) -> Float[Tensor, " N"]:
        read = look.read(own, places.detach().cpu().double().numpy())[:, 0]
        return torch.maximum(torch.from_numpy(read).to(places), before(places).to(places))

    return cover


def without_glasses(segmentation: FaceSegmentation, look: GlassesLook) -> FaceSegmentation:
    """The segmentation of one face as if it wore no spectacles: what is taken for a thing there is its skin.

    Otherwise frames would count as hair, and eyes behind clear lenses as hidden.

    Args:
        segmentation: of the face, B = 1.
        look: at the same photo; the spectacles in it are believed.
    """
    texels = look.shares.shape[-1] / WIDE
    worn = _wider((1 - look.shares[:1]).clamp(0, 1)[None], AROUND * texels)[0]
    size = segmentation.probabilities.shape[-1]
    middles = (np.stack(np.meshgrid(*(np.arange(size),) * 2), -1).reshape(1, -1, 2) + 0.5) / size
    share = look.read(worn, photo_from_crop(middles, segmentation.frames)[0]).reshape(size, size)
    moved = segmentation.probabilities[:, OCCLUDER] * torch.from_numpy(share).to(segmentation.probabilities)
    classes = segmentation.probabilities.clone()
    classes[:, OCCLUDER] -= moved
    classes[:, FACE] += moved
    return FaceSegmentation(classes, segmentation.frames)


def _wider(planes: Float[Tensor, "1 1 h w"], reach: float) -> Float[Tensor, "1 1 h w"]:
    """The largest value up to ``reach`` texels away."""
    around = max(1, round(reach))
    return max_pool2d(planes, 2 * around + 1, 1, around)
