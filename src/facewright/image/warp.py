"""Cut rectangles out of photos."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from facewright.core.errors import InputError
from facewright.image.color import linear_from_srgb


def crop_box(
    photo: Float[Tensor, "3 H W"],
    box: tuple[float | int, float | int, float | int, float | int],
    size: tuple[int, int],
    *,
    outside: float = 0.0,
    linear: bool = False,
) -> Float[Tensor, "3 h w"]:
    """Cut a box out of a photo and scale it to a size, without aliasing when it shrinks.

    Args:
        photo: RGB in [0, 1]; sRGB if ``linear``.
        box: (x0, y0, x1, y1) in pixels; rounded outwards to whole pixels; may leave the photo.
        size: (height, width) of the result.
        outside: value of what lies beyond the photo.
        linear: decode sRGB before scaling, so that the result holds means of light, not of its encoding.

    Raises:
        InputError: the box is empty.
    """
    x0, y0 = int(box[0] // 1), int(box[1] // 1)
    x1, y1 = -int(-box[2] // 1), -int(-box[3] // 1)
    if x1 <= x0 or y1 <= y0:
        raise InputError(f"expected a box with x0 < x1 and y0 < y1, got {box}.")
    height, width = photo.shape[-2:]
    left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    patch = torch.full((3, y1 - y0, x1 - x0), outside, dtype=photo.dtype, device=photo.device)
    if right > left and bottom > top:
        patch[:, top - y0 : bottom - y0, left - x0 : right - x0] = photo[:, top:bottom, left:right]
    patch = linear_from_srgb(patch) if linear else patch
    return functional.interpolate(
        patch[None], size=size, mode="bilinear", align_corners=False, antialias=True
    )[0]
