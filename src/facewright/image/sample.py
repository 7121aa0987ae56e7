"""Read images between pixel centres."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def sample_bilinear(
    images: Float[Tensor, "B C H W"],
    pixels: Float[Tensor, "B N 2"],
    *,
    outside: Literal["border", "zeros"] = "border",
) -> Float[Tensor, "B N C"]:
    """Bilinear values at pixel positions (x, y), pixel centres at +0.5.

    Args:
        images: any channels.
        pixels: positions in pixels, origin at the corner of the top-left pixel.
        outside: what lies beyond the image: its nearest pixel, or zero.
    """
    height, width = images.shape[-2:]
    extent = pixels.new_tensor([width, height])
    grid = (2 * pixels / extent - 1)[:, None]
    values = functional.grid_sample(images, grid, mode="bilinear", padding_mode=outside, align_corners=False)
    return values[:, :, 0].mT
