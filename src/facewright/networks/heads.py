"""Heads: dense facial landmarks from a crop, face centres from an image."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .backbones import ResidualPyramid
from .blocks import ConvBlock

LANDMARKS = 478


@dataclass(frozen=True)
class LandmarkNetworkSettings:
    """Sizes of the landmark network.

    Attributes:
        input_size: of the crop in px.
        widths: channels of the stem and the stages.
        lateral: channels that the last stage but one hands on.
        hidden: units between features and shape coefficients.
        modes: shape coefficients.
        spots: places in the map of the second stage that are handed on as coordinates.
    """

    input_size: int = 128
    widths: tuple[int, ...] = (16, 32, 64, 96, 128)
    lateral: int = 24
    hidden: int = 320
    modes: int = 200
    spots: int = 0


class Spots(nn.Module):
    """Places of a map that learnt filters respond to, as the mean coordinates of a softmax over the map.

    They move with the image by fractions of a cell, which fully connected features only learn to imitate.

    **Source:** Finn et al., "Deep Spatial Autoencoders for Visuomotor Learning", 2016, section V.B.
    """

    def __init__(self, inputs: int, count: int) -> None:
        super().__init__()
        self.filters = nn.Conv2d(inputs, count, 1, bias=False)  # a softmax takes no notice of a bias

    def forward(self, features: Float[Tensor, "B C h w"]) -> Float[Tensor, "B twice"]:
        """Coordinates, first all x then all y, from -1 (left/top edge) to 1 (right/bottom edge)."""
        height, width = features.shape[-2:]
        share = self.filters(features).flatten(2).softmax(2).unflatten(2, (height, width))
        kind = {"device": features.device, "dtype": features.dtype}
        x = (2 * torch.arange(width, **kind) + 1) / width - 1
        y = (2 * torch.arange(height, **kind) + 1) / height - 1
        return torch.cat([share.sum(2) @ x, share.sum(3) @ y], 1)


class LandmarkNetwork(nn.Module):
    """478 points and a face-presence logit from a square grey crop.

    The last layer starts as the principal modes of the training shapes in the crop, so the network regresses
    whitened shape coefficients; the modes are then trained along. Coordinates of spots, where the settings
    have some, enter the coefficients and move the points directly.
    """

    def __init__(self, settings: LandmarkNetworkSettings = LandmarkNetworkSettings()) -> None:
        super().__init__()
        self.settings = settings
        self.backbone = ResidualPyramid(settings.widths)
        coarse = settings.input_size // 2 ** len(settings.widths)
        self.lateral = nn.Conv2d(settings.widths[-2], settings.lateral, 1)
        features = settings.widths[-1] * coarse**2 + settings.lateral * (2 * coarse) ** 2
        self.hidden = nn.Linear(features, settings.hidden)
        self.modes = nn.Linear(settings.hidden, settings.modes)
        self.points = nn.Linear(settings.modes, LANDMARKS * 3)
        self.presence = nn.Linear(settings.hidden, 1)
        if settings.spots:
            self.spots = Spots(settings.widths[2], settings.spots)
            self.shift = nn.Linear(2 * settings.spots, settings.modes, bias=False)
            self.place = nn.Linear(2 * settings.spots, LANDMARKS * 3, bias=False)
            nn.init.zeros_(self.shift.weight)
            nn.init.zeros_(self.place.weight)

    def start_from_modes(self, mean: Float[Tensor, "N 3"], modes: Float[Tensor, "K N 3"]) -> None:
        """Set the last layer to ``mean`` + ``modes`` (one standard deviation each, crop units)."""
        with torch.no_grad():
            self.points.bias.copy_(mean.reshape(-1))
            self.points.weight.copy_(modes.reshape(len(modes), -1).T)

    def forward(self, crop: Float[Tensor, "B 1 S S"]) -> tuple[Float[Tensor, "B 478 3"], Float[Tensor, " B"]]:
        """Points in crop units (0 = left/top edge, 1 = right/bottom edge) and the presence logit.

        Args:
            crop: grey sRGB in [0, 1]; its mean and contrast are normalised here.
        """
        mean = crop.mean((2, 3), keepdim=True)
        contrast = crop.std((2, 3), keepdim=True)
        features = self.backbone((crop - mean) / (contrast + 0.05))
        lateral = torch.relu(self.lateral(features[-2]))
        hidden = torch.relu(self.hidden(torch.cat([features[-1].flatten(1), lateral.flatten(1)], 1)))
        modes = self.modes(hidden)
        if self.settings.spots:
            spots = self.spots(features[1])
            points = self.points(modes + self.shift(spots)) + self.place(spots)
        else:
            points = self.points(modes)
        return points.unflatten(1, (LANDMARKS, 3)), self.presence(hidden)[:, 0]


@dataclass(frozen=True)
class EyeNetworkSettings:
    """Sizes of the network that looks at eyes.

    Attributes:
        input_size: of the crop in px.
        widths: channels of the stem and of two stages.
        points: of an eye.
    """

    input_size: int = 48
    widths: tuple[int, ...] = (16, 32, 64)
    points: int = 37


class EyeNetwork(nn.Module):
    """The points of one eye from a square grey crop: linear in what filters of a larger network see.

    So that its last layer is found in one solve.
    """

    def __init__(self, settings: EyeNetworkSettings = EyeNetworkSettings()) -> None:
        super().__init__()
        self.settings = settings
        self.backbone = ResidualPyramid(settings.widths)
        cells = (settings.input_size // 2 ** len(settings.widths)) ** 2
        self.points = nn.Linear(sum(settings.widths[-2:]) * cells, settings.points * 2)

    def seen(self, crop: Float[Tensor, "B 1 S S"]) -> Float[Tensor, "B D"]:
        """What the points are linear in."""
        mean, contrast = crop.mean((2, 3), keepdim=True), crop.std((2, 3), keepdim=True)
        fine, coarse = self.backbone((crop - mean) / (contrast + 0.05))[-2:]
        return torch.cat([coarse.flatten(1), nn.functional.avg_pool2d(fine, 2).flatten(1)], 1)

    def forward(self, crop: Float[Tensor, "B 1 S S"]) -> tuple[Float[Tensor, "B N 2"]]:
        """Points in crop units (0 = left/top edge, 1 = right/bottom edge).

        Args:
            crop: grey sRGB in [0, 1]; its mean and contrast are normalised here.
        """
        return (self.points(self.seen(crop)).unflatten(1, (-1, 2)),)


@dataclass(frozen=True)
class FaceNetworkSettings:
    """Sizes of the face detection network."""

    widths: tuple[int, ...] = (8, 20, 32, 48, 64)
    blocks: tuple[int, ...] = (0, 1, 1, 1)
    pyramid: int = 32


class FaceNetwork(nn.Module):
    """Face centres at strides 8, 16 and 32 with the square, rolled frame of each face; no anchors.

    Channels of a map: score logit; centre offset x, y in strides from the cell's centre; logarithm of the
    side in strides; cosine and sine of the roll (not normalised).
    """

    STRIDES = (8, 16, 32)
    CHANNELS = 6

    def __init__(self, settings: FaceNetworkSettings = FaceNetworkSettings()) -> None:
        super().__init__()
        self.settings = settings
        self.backbone = ResidualPyramid(settings.widths, blocks=settings.blocks)
        width = settings.pyramid
        self.laterals = nn.ModuleList(nn.Conv2d(inputs, width, 1) for inputs in settings.widths[-3:])
        self.smooth = nn.ModuleList(ConvBlock(width, width) for _ in self.STRIDES)
        outputs = [nn.Conv2d(width, self.CHANNELS, 1) for _ in self.STRIDES]
        self.outputs = nn.ModuleList(outputs)
        for output in outputs:
            # Faces are rare: a score of one in a hundred to begin with keeps the first steps calm.
            with torch.no_grad():
                output.get_parameter("bias")[0] = -4.6

    def forward(self, image: Float[Tensor, "B 1 H W"]) -> list[Float[Tensor, "B 6 h w"]]:
        """Maps of the three strides.

        Args:
            image: grey sRGB in [0, 1]; height and width multiples of 32.
        """
        features = self.backbone((image - 0.5) * 4.0)[-3:]
        maps: list[Tensor] = []
        above: Tensor | None = None
        for level in (2, 1, 0):
            x = self.laterals[level](features[level])
            if above is not None:
                x = x + nn.functional.interpolate(above, scale_factor=2.0, mode="nearest")
            above = torch.relu(x)
            maps.insert(0, self.outputs[level](self.smooth[level](above)))
        return maps
