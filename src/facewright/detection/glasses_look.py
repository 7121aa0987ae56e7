"""Where a photo shows spectacles: rims, bridge and temples, and lenses, around one face."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor
from torch.nn import functional

from facewright.core.assets import asset_path
from facewright.core.errors import AssetError
from facewright.models.glasses import GlassesSeat
from facewright.networks.runtime import runner_of
from facewright.networks.segmentation import SegmentationNetwork, SegmentationNetworkSettings
from facewright.networks.weights import read_weights
from facewright.scene.camera import Camera
from facewright.scene.pose import Pose

from .crop import crop_from_photo, cut_color_crops

# "rim" is what lies around a lens, "bar" bridge and temples, "lens" one that eyes are seen through, "dark"
# one that hides them.
CLASSES = ("nothing", "rim", "bar", "lens", "dark")
WEIGHTS = "glasses.safetensors"
WIDE = 185.0  # mm at the head that the crop is wide
RATIO = 2  # its width over its height
HINGE = (72.0, 5.0, -12.0)  # mm from the eyes' middle, to the side, up and forward: about where temples begin
UP = 40.0  # mm by which the upright direction is told


def glasses_frame(seat: GlassesSeat, pose: Pose, camera: Camera) -> Float[ndarray, "1 4"]:
    """Square around where a head wears spectacles (centre x, centre y, side in px, roll in radians).

    Its middle rows, ``RATIO`` times as wide as high, are what the network sees. The size follows the head's
    and does not change when it turns.
    """
    x, y, z = HINGE
    marks = np.stack(
        [
            *(seat.middle + np.array([side * x, y, z]) for side in (-1, 1)),
            *seat.ears,
            seat.middle + np.array([0, UP, 0]),
            seat.middle - np.array([0, UP, 0]),
            seat.middle,
        ]
    )
    placed = pose.camera_from_head(torch.from_numpy(marks).to(pose.translation)[None])
    aside = placed[:, -1:] + placed.new_tensor([UP, 0.0, 0.0])
    pixels = camera.project(torch.cat([placed, aside], 1))[0, :, :2].detach().double().cpu().numpy()
    down = pixels[5] - pixels[4]
    roll = float(np.arctan2(-down[0], down[1]))
    scale = float(np.linalg.norm(pixels[7] - pixels[6])) / UP
    right, below = np.array([np.cos(roll), np.sin(roll)]), np.array([-np.sin(roll), np.cos(roll)])
    along = pixels[:4] @ right
    center = 0.5 * (along.min() + along.max()) * right + (pixels[6] @ below) * below
    return np.array([[center[0], center[1], WIDE * scale, roll]])


def cut_band(
    photo: Float[Tensor, "3 H W"], frame: Float[ndarray, "1 4"], width: int
) -> Float[Tensor, "1 3 h w"]:
    """The middle rows of a frame, ``width`` px wide; beyond the photo its border goes on."""
    crop = cut_color_crops(photo.float(), frame, width)
    height = width // RATIO
    top = (width - height) // 2
    return crop[:, :, top : top + height]


def band_from_photo(pixels: Float[ndarray, "N 2"], frame: Float[ndarray, "1 4"]) -> Float[ndarray, "N 2"]:
    """Px of the photo to units of the band (0 to 1, right and down)."""
    unit = crop_from_photo(pixels[None], frame)[0]
    return np.stack([unit[:, 0], (unit[:, 1] - 0.5) * RATIO + 0.5], 1)


@dataclass(frozen=True)
class GlassesLook:
    """What one photo shows of spectacles on one face.

    Attributes:
        shares: probability of each of ``CLASSES``.
        colors: sRGB.
        frame: see ``glasses_frame``.
    """

    shares: Float[Tensor, "K h w"]
    colors: Float[Tensor, "3 h w"]
    frame: Float[ndarray, "1 4"]

    def at(self, pixels: Float[ndarray, "N 2"]) -> Float[ndarray, "N K"]:
        """Shares at pixels of the photo; nothing beyond the band."""
        read = self.read(self.shares, pixels)
        read[:, 0] += 1 - read.sum(1)
        return read

    def color(self, pixels: Float[ndarray, "N 2"]) -> Float[ndarray, "N 3"]:
        """Colours (sRGB) at pixels of the photo; black beyond the band."""
        return self.read(self.colors, pixels)

    def read(self, planes: Tensor, pixels: Float[ndarray, "N 2"]) -> Float[ndarray, "N C"]:
        """Values of a map of the band at pixels of the photo; 0 beyond the band."""
        grid = torch.from_numpy(2 * band_from_photo(pixels, self.frame) - 1).to(planes)[None, None]
        read = functional.grid_sample(planes[None], grid, "bilinear", "zeros", align_corners=False)
        return read[0, :, 0].T.double().cpu().numpy()


class GlassesLooker:
    """Looks for spectacles; holds the weights of one device."""

    def __init__(self, network: SegmentationNetwork, device: torch.device | str = "cpu") -> None:
        if network.settings.classes != len(CLASSES) or network.settings.ratio != RATIO:
            raise AssetError(
                f"expected a network of {len(CLASSES)} classes on crops {RATIO} times as wide as high, got "
                f"{network.settings}: use the file that belongs to this version of facewright."
            )
        self.device = torch.device(device)
        self.size = network.settings.input_size
        self.run = runner_of(network, self.device)

    @classmethod
    def load(cls, device: torch.device | str = "cpu", weights: Path | None = None) -> "GlassesLooker":
        """Load the shipped weights, or those of a file.

        Raises:
            AssetError: the file is missing, damaged or of another version.
        """
        path = weights or asset_path(WEIGHTS)
        return cls(read_weights(path, SegmentationNetwork, SegmentationNetworkSettings), device)

    def __call__(self, photo: Float[Tensor, "3 H W"], frame: Float[ndarray, "1 4"]) -> GlassesLook:
        """Look at one face.

        Args:
            photo: sRGB.
            frame: of ``glasses_frame``.
        """
        band = cut_band(photo.to(self.device), frame, self.size)
        (logits,) = self.run(band)
        return GlassesLook(logits.float().softmax(1)[0].cpu(), band[0].cpu(), frame)
