"""How the 478 landmarks of the shipped landmarker err: on average, and together."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.core.assets import asset_path, read_safetensors
from facewright.core.errors import AssetError
from facewright.detection.points import towards_left_eye
from facewright.networks.heads import LANDMARKS

FILE = "landmark_errors.safetensors"
MAX_MODES = 64


@dataclass(frozen=True)
class LandmarkErrors:
    """A Gaussian over the landmarker's errors: ``mean + e @ modes`` with e of unit covariance, plus noise.

    In the upright frame of ``upright_frames``: x along the eyes, y towards the mouth, 1 = the face's radius.

    Attributes:
        mean: detected minus true.
        modes: errors that the landmarks of one face have in common, one standard deviation each.
    """

    mean: Float[Tensor, "L 2"]
    modes: Float[Tensor, "R L 2"]

    def to(self, device: torch.device | str) -> "LandmarkErrors":
        """Return the same statistic on another device."""
        return LandmarkErrors(self.mean.to(device), self.modes.to(device))

    def of_another_landmarker(self) -> "LandmarkErrors":
        """How points err together, without what only the measured landmarker gets wrong on every face."""
        return LandmarkErrors(torch.zeros_like(self.mean), self.modes)


def upright_frames(points: Float[Tensor, "B 478 2"]) -> tuple[Float[Tensor, "B 2 2"], Float[Tensor, " B"]]:
    """Turn (image_from_upright) and radius of faces; the radius is the root mean square from the middle.

    The turn follows ``towards_left_eye``.
    """
    across = towards_left_eye(points)
    x = across / across.norm(dim=-1, keepdim=True).clamp_min(1e-9)
    turn = torch.stack([x, torch.stack([-x[:, 1], x[:, 0]], -1)], -1)
    spread = points - points.mean(1, keepdim=True)
    return turn, spread.square().sum(-1).mean(-1).sqrt()


def load_landmark_errors(path: Path | None = None) -> LandmarkErrors:
    """Load the statistic of the shipped landmarker, or that of ``path``.

    Raises:
        AssetError: the file is missing, damaged or not such a statistic.
    """
    path = path or asset_path(FILE)
    tensors, _ = read_safetensors(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    modes = shapes.get("modes", ())
    good = shapes.get("mean") == (LANDMARKS, 2) and modes[1:] == (LANDMARKS, 2) and modes[0] <= MAX_MODES
    if not good or not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise AssetError(
            f"{path}: expected finite tensors mean ({LANDMARKS}, 2) and modes "
            f"(1 to {MAX_MODES}, {LANDMARKS}, 2), found {shapes}: "
            "reinstall facewright, or make it anew with scripts/measure_landmark_errors.py."
        )
    return LandmarkErrors(tensors["mean"].float(), tensors["modes"].float())
