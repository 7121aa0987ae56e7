"""Where the head is: a rigid motion from the head frame to the camera frame."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Pose:
    """camera_from_head: ``points_camera = rotation @ points_head + translation``.

    A frontal head has ``rotation = diag(1, -1, -1)`` (head: +Y up, +Z out of the face; camera: +Y down,
    +Z forward).

    Attributes:
        rotation: proper rotations.
        translation: mm, camera frame.
    """

    rotation: Float[Tensor, "B 3 3"]
    translation: Float[Tensor, "B 3"]

    def camera_from_head(self, points_head: Float[Tensor, "B N 3"]) -> Float[Tensor, "B N 3"]:
        """Move points (mm) from the head frame to the camera frame."""
        return points_head @ self.rotation.mT + self.translation[:, None]

    def away(self) -> Float[Tensor, " B"]:
        """Angle (radians) between where the face looks and the line from the head to the camera."""
        forward, to_camera = self.rotation[:, :, 2], -self.translation
        return torch.atan2(torch.linalg.cross(forward, to_camera).norm(dim=-1), (forward * to_camera).sum(-1))

    def to(self, device: torch.device | str) -> "Pose":
        """Return the same poses on another device."""
        return Pose(self.rotation.to(device), self.translation.to(device))


def frontal_pose(batch: int, distance: float, *, device: torch.device | str = "cpu") -> Pose:
    """Heads that look into the camera from ``distance`` mm."""
    rotation = torch.diag(torch.tensor([1.0, -1.0, -1.0], device=device)).expand(batch, 3, 3)
    translation = torch.tensor([0.0, 0.0, distance], device=device).expand(batch, 3)
    return Pose(rotation, translation)


def turned_rotations(yaws: Sequence[float]) -> Float[Tensor, "B 3 3"]:
    """camera_from_head of heads that look into the camera and then turn about +Y.

    Args:
        yaws: radians; positive turns the subject's left cheek to the camera.
    """
    matrices = []
    for yaw in yaws:
        cosine, sine = math.cos(yaw), math.sin(yaw)
        matrices.append([[cosine, 0.0, -sine], [0.0, -1.0, 0.0], [-sine, 0.0, -cosine]])
    return torch.tensor(matrices)
