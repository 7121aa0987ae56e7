"""Heads: dense facial landmarks from a crop, face centres from an image."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .backbones import ResidualPyramid

LANDMARKS = 478


@dataclass(frozen=True)
class LandmarkNetworkSettings:
    """Sizes of the landmark network."""

    input_size: int = 128
    widths: tuple[int, ...] = (16, 32, 64, 96, 128)
    lateral: int = 24
    hidden: int = 320
    modes: int = 200


class LandmarkNetwork(nn.Module):
    """478 points and a face-presence logit from a square grey crop.

    The last layer starts as the principal modes of the training shapes in the crop, so the network regresses
    whitened shape coefficients; the modes are then trained along.
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
        points = self.points(self.modes(hidden)).unflatten(1, (LANDMARKS, 3))
        return points, self.presence(hidden)[:, 0]
