"""Where spectacles hide the skin of a photo, or throw their shadow on it."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from facewright.detection.glasses_look import CLASSES, WIDE, GlassesLook
from facewright.image.cover import Cover

FRAME = (0.15, 0.45)  # shares of frame in a pixel, from which on it is doubted, and surely no skin
AROUND, BELOW = 1.2, 2.5  # mm around frames that are taken for them; below them lies their shadow
RIM, BAR, LENS, DARK = (CLASSES.index(name) for name in ("rim", "bar", "lens", "dark"))


def glasses_cover(look: GlassesLook, before: Cover | None) -> Cover:
    """What spectacles cover, together with what else lies before a face.

    Frames and dark lenses cover; what is seen through clear lenses is the face's own, even where it was taken
    for something else.

    Args:
        look: at the photo; the spectacles in it are believed.
        before: without them.
    """
    planes = look.shares
    texels = planes.shape[-1] / WIDE  # to a mm
    frame = ((planes[RIM] + planes[BAR] - FRAME[0]) / (FRAME[1] - FRAME[0])).clamp(0, 1)[None, None]
    around, below = max(1, round(AROUND * texels)), max(1, round(BELOW * texels))
    frame = max_pool2d(frame, 2 * around + 1, 1, around)
    frame = max_pool2d(pad(frame, (0, 0, below, 0)), (below + 1, 1), 1)
    own = torch.maximum(frame[0, 0], planes[DARK])
    clear = (planes[LENS] * (1 - own)).clamp(0, 1)
    return _together(look, torch.stack([own, clear]), before)


def _together(look: GlassesLook, planes: Float[Tensor, "2 h w"], before: Cover | None) -> Cover:
    def cover(places: Float[Tensor, "N 2"]) -> Float[Tensor, " N"]:
        read = look.read(planes, places.detach().cpu().double().numpy())
        own, clear = (torch.from_numpy(np.ascontiguousarray(each)).to(places) for each in read.T)
        if before is None:
            return own
        other = before(places).to(own)
        return torch.maximum(own, other * (1 - clear))

    return cover
