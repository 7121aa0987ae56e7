"""A network that says of each pixel of a face crop what it shows."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from .backbones import ResidualPyramid
from .blocks import ConvBlock


@dataclass(frozen=True)
class SegmentationNetworkSettings:
    """Sizes of the segmentation network.

    Attributes:
        input_size: width of the crop in px, a multiple of 32.
        classes: of a pixel.
        widths: channels of the stem and the stages.
        decoder: channels on the way back, coarse to fine, as many as there are stages.
        ratio: of the crop's width to its height, which is a multiple of 32 as well.
    """

    input_size: int = 128
    classes: int = 6
    widths: tuple[int, ...] = (16, 24, 40, 64, 96)
    decoder: tuple[int, ...] = (56, 40, 24, 16)
    ratio: int = 1


class SegmentationNetwork(nn.Module):
    """Logits of each pixel's class from a colour crop.

    **Source:** Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015.
    **Differs:** residual stages with strides; features return by nearest doubling; half-size logits are
    enlarged bilinearly.
    """

    def __init__(self, settings: SegmentationNetworkSettings = SegmentationNetworkSettings()) -> None:
        super().__init__()
        self.settings = settings
        self.backbone = ResidualPyramid(settings.widths, inputs=3)
        below, blocks = settings.widths[-1], []
        for skip, width in zip(settings.widths[-2::-1], settings.decoder, strict=True):
            blocks.append(ConvBlock(below + skip, width))
            below = width
        self.decoder = nn.ModuleList(blocks)
        self.classes = nn.Conv2d(below, settings.classes, 1)

    def forward(self, crop: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B K H W"]]:
        """Logits of the classes.

        Args:
            crop: sRGB in [0, 1]; a grey photo has three equal channels. Its mean and contrast are normalised
                here, over all channels together so that colours stay.
        """
        mean = crop.mean((1, 2, 3), keepdim=True)
        contrast = crop.std((1, 2, 3), keepdim=True)
        x = self.backbone.stem((crop - mean) / (contrast + 0.05))
        features = [x]
        for stage in self.backbone.stages:
            x = stage(x)
            features.append(x)
        for block, skip in zip(self.decoder, features[-2::-1], strict=True):
            larger = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = block(torch.cat([larger, skip], 1))
        logits = self.classes(x)
        return (functional.interpolate(logits, scale_factor=2.0, mode="bilinear", align_corners=False),)
