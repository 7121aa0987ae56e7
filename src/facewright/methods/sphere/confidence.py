"""How sure a picture can be, pixel by pixel: the spread of the photometric loss, told by a small network."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

SIDE = 64  # px of the photos that it sees
START = -1.5  # before the softplus, a spread of 0.2: what the first heads miss photos by
LEAST = 1e-2  # of a spread: pixels of 8 bits tell no better


class ConfidenceNetwork(nn.Module):
    """Spread of each pixel's error.

    **Source:** Wu et al., "Unsupervised Learning of Probably Symmetric Deformable 3D Objects", 2020, their
    confidence network, whose width the authors of the Sphere Face Model halve.
    **Differs:** one map, of the image alone (theirs also for its mirror image and for features); narrower;
    grey photos.
    """

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        narrow, middle, wide, most = width, 2 * width, 4 * width, 8 * width
        self.layers = nn.Sequential(
            *_down(1, narrow),
            *_down(narrow, middle),
            *_down(middle, wide),
            nn.Conv2d(wide, most, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(most, most, 4),
            nn.ReLU(),
            nn.ConvTranspose2d(most, most, 4),
            nn.ReLU(),
            *_up(most, wide),
            *_up(wide, middle),
            *_up(middle, narrow),
            nn.ConvTranspose2d(narrow, narrow, 4, 2, 1),
            nn.ReLU(),
        )
        self.last = nn.Conv2d(narrow, 1, 5, 1, 2)
        nn.init.zeros_(self.last.weight)

    def forward(self, photos: Float[Tensor, "B 1 64 64"]) -> Float[Tensor, "B 64 64"]:
        """Spreads, above 0, in the unit of the photos (sRGB luma in [0, 1])."""
        return softplus(self.last(self.layers((photos - 0.5) * 2)) + START)[:, 0] + LEAST


def _down(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.GroupNorm(outputs // 4, outputs), nn.LeakyReLU(0.2)]


def _up(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.GroupNorm(outputs // 4, outputs), nn.ReLU()]


def laplace_loss(
    error: Float[Tensor, "B H W"], spread: Float[Tensor, "B H W"], mask: Float[Tensor, "B H W"]
) -> Float[Tensor, ""]:
    """Mean over each mask of minus the logarithm of a Laplace density; 0 where a mask is empty.

    Args:
        error: absolute difference of picture and photo, mean over the channels.
        spread: standard deviation that is claimed for it; best is the root of 2 times the error.
        mask: 1 where picture and photo show the face.

    **Source:** Sphere Face Model, eq. 13.
    """
    root = 2**0.5
    cost = (root * error / spread + torch.log(root * spread)) * mask
    return (cost.sum((1, 2)) / mask.sum((1, 2)).clamp_min(1.0)).mean()
