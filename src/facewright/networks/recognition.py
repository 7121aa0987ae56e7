"""Whose face it is: features of aligned crops that are alike for one person and differ between two."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from facewright.image.color import LUMA_WEIGHTS

from .backbones import ResidualPyramid

CROP = 112  # px; see detection/aligned_crop.py
# The part of the crop that our network looks at: brows to chin, little of hair and background.
TOP, LEFT, PART = 14, 8, 96


@runtime_checkable
class FaceRecogniser(Protocol):
    """Anything that tells faces apart: our network, or one of the user's."""

    def __call__(self, crops: Float[Tensor, "B 3 112 112"], /) -> Float[Tensor, "B D"]:
        """Features of unit length of aligned crops (sRGB in [0, 1]); their product is the cosine."""
        ...


@dataclass(frozen=True)
class RecognitionNetworkSettings:
    """Sizes of the recognition network.

    Attributes:
        widths: channels of the stem and the stages.
        blocks: residual blocks of the stages.
        shrink: pixels of the crop in a row that are averaged into one before anything else.
        features: numbers that describe a face.
    """

    widths: tuple[int, ...] = (32, 64, 128)
    blocks: tuple[int, ...] = (1, 1)
    shrink: int = 2
    features: int = 128


class RecognitionNetwork(nn.Module):
    """Features of aligned crops, from their luma alone, so that grey and colour photos go together.

    A pyramid, whose last map (6 x 6 at the usual sizes) goes through one linear layer.

    **Source:** the head (batch norm, dropout, linear, batch norm): Deng et al., "ArcFace", 2019, section 3.2.
    """

    def __init__(self, settings: RecognitionNetworkSettings = RecognitionNetworkSettings()) -> None:
        super().__init__()
        self.settings = settings
        self.backbone = ResidualPyramid(settings.widths, blocks=settings.blocks)
        side = PART // settings.shrink // 2 ** len(settings.widths)
        self.spread = nn.BatchNorm2d(settings.widths[-1])
        self.drop = nn.Dropout(0.3)
        self.project = nn.Linear(settings.widths[-1] * side**2, settings.features, bias=False)
        self.centre = nn.BatchNorm1d(settings.features, affine=False)

    def describe(self, grey: Float[Tensor, "B 1 112 112"]) -> Float[Tensor, "B D"]:
        """Unit features of grey crops in [0, 1]; their mean and contrast are taken out first."""
        return nn.functional.normalize(self.look(grey)[0], dim=1, eps=1e-6)

    def look(self, grey: Float[Tensor, "B 1 112 112"]) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B M"]]:
        """Features of ``describe`` at any length, and the flat last map that they are made of."""
        part = grey[:, :, TOP : TOP + PART, LEFT : LEFT + PART]
        grey = nn.functional.avg_pool2d(part, self.settings.shrink)
        mean = grey.mean((2, 3), keepdim=True)
        contrast = grey.var((2, 3), keepdim=True, correction=0).add(1e-4).sqrt()
        maps = self.backbone((grey - mean) / (contrast + 0.02))[-1]
        flat = self.drop(self.spread(maps)).flatten(1)
        return self.centre(self.project(flat)), flat

    def forward(self, crops: Float[Tensor, "B 3 112 112"]) -> Float[Tensor, "B D"]:
        """Unit features of crops (sRGB in [0, 1])."""
        weights = crops.new_tensor(LUMA_WEIGHTS)[:, None, None]
        return self.describe((crops * weights).sum(1, keepdim=True))


class MarginSoftmax(nn.Module):
    """The loss of telling classes apart by the cosine to a learnt direction each, with a margin.

    **Source:** Deng et al., "ArcFace", 2019, eq. 3 (``angle``); Wang et al., "CosFace", 2018, eq. 4
    (``cosine``).
    """

    def __init__(
        self, classes: int, features: int, *, scale: float = 24.0, angle: float = 0.0, cosine: float = 0.25
    ) -> None:
        super().__init__()
        self.scale, self.angle, self.cosine = scale, angle, cosine
        self.directions = nn.Parameter(torch.empty(classes, features))
        nn.init.normal_(self.directions, std=0.05)

    def forward(
        self, features: Float[Tensor, "B D"], classes: Tensor, share: float = 1.0
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Loss and share of faces whose own class is the nearest.

        Args:
            features: of unit length.
            classes: (B,) number of each face's class.
            share: of the margins that counts, from 0 to 1; they are raised over the first steps.
        """
        cosines = features @ nn.functional.normalize(self.directions, dim=1).T
        own = cosines.gather(1, classes[:, None])
        right = (cosines.argmax(1) == classes).float().mean()
        angle, margin = share * self.angle, share * self.cosine
        if angle:
            own_margin = torch.cos(torch.acos(own.clamp(-1 + 1e-6, 1 - 1e-6)) + angle) - margin
        else:
            own_margin = own - margin
        logits = self.scale * cosines.scatter(1, classes[:, None], own_margin)
        return nn.functional.cross_entropy(logits, classes), right
