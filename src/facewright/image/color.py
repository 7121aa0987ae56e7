"""Between the sRGB of files and networks and the linear light of shading."""

import torch
from jaxtyping import Float
from torch import Tensor

# Relative luminance of linear sRGB. Source: ITU-R BT.709-6, section 3.
LUMINANCE_WEIGHTS = (0.2126, 0.7152, 0.0722)
# Grey of sRGB values as they are, as JPEG and television weigh them. Source: ITU-R BT.601-7, section 2.5.1.
LUMA_WEIGHTS = (0.299, 0.587, 0.114)
# Pixels whose channels differ by less than this part of their mean, as a median, are grey.
GREY = 0.03
GREY_DARK = 0.02  # linear; added to the mean, since dark pixels have the hue of noise


def linear_from_srgb(srgb: Float[Tensor, "*N"]) -> Float[Tensor, "*N"]:
    """Decode sRGB values in [0, 1] to linear light.

    **Source:** IEC 61966-2-1:1999, section 5.2.
    """
    curve = ((srgb.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(srgb <= 0.04045, srgb / 12.92, curve)


def srgb_from_linear(linear: Float[Tensor, "*N"]) -> Float[Tensor, "*N"]:
    """Encode linear light in [0, 1] as sRGB; values outside are clipped, since no file can hold them.

    **Source:** IEC 61966-2-1:1999, section 5.2.
    """
    clipped = linear.clamp(0, 1)
    curve = 1.055 * clipped.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(clipped <= 0.0031308, clipped * 12.92, curve)


def luminance(linear: Float[Tensor, "*N 3"]) -> Float[Tensor, "*N"]:
    """Relative luminance of linear RGB in the last axis."""
    return linear @ linear.new_tensor(LUMINANCE_WEIGHTS)


def lacks_color(linear: Float[Tensor, "N 3"]) -> bool:
    """Whether pixels (linear RGB) are those of a grey photo; no pixels are not.

    To be asked of the face: of a photo in colour most can be grey, as a wall is.
    """
    mean = linear.mean(-1)
    spread = (linear - mean[:, None]).abs().mean(-1) / (mean + GREY_DARK)
    return len(linear) > 0 and float(spread.median()) < GREY
