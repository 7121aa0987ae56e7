"""Cameras: from the camera frame (mm) to pixels and depth. OpenCV axes, pixel centres at +0.5."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class PerspectiveCamera:
    """A pinhole camera with square pixels and no distortion.

    Attributes:
        focal: focal length in pixels.
        principal: principal point (x, y) in pixels, origin at the corner of the top-left pixel.
        size: (height, width) of the image in pixels.
    """

    focal: Float[Tensor, " B"]
    principal: Float[Tensor, "B 2"]
    size: tuple[int, int]

    def project(self, points_camera: Float[Tensor, "B N 3"]) -> Float[Tensor, "B N 3"]:
        """Project camera-frame points (mm) to (x px, y px, depth mm along +Z).

        Points at or behind the camera plane give coordinates without meaning; their depth is <= 0, which is
        what callers test.
        """
        depth = points_camera[..., 2:]
        safe = torch.where(depth.abs() < 1e-6, torch.full_like(depth, 1e-6), depth)
        pixels = self.focal[:, None, None] * points_camera[..., :2] / safe + self.principal[:, None]
        return torch.cat([pixels, depth], dim=-1)

    def scaled(self, factor: float | int) -> "PerspectiveCamera":
        """The same view in an image ``factor`` times as large in each direction."""
        height, width = self.size
        size = (round(height * factor), round(width * factor))
        return PerspectiveCamera(self.focal * factor, self.principal * factor, size)

    def cropped(self, x0: float | int, y0: float | int, size: tuple[int, int]) -> "PerspectiveCamera":
        """The view of the rectangle of ``size`` (height, width) whose top-left corner is (x0, y0) px."""
        return replace(self, principal=self.principal - self.principal.new_tensor([x0, y0]), size=size)

    def to(self, device: torch.device | str) -> "PerspectiveCamera":
        """Return the same cameras on another device."""
        return replace(self, focal=self.focal.to(device), principal=self.principal.to(device))


@dataclass(frozen=True)
class WeakPerspectiveCamera:
    """A scaled orthographic camera.

    Attributes:
        scale: pixels per mm.
        offset: image position (x, y) in pixels of the camera frame's origin.
        size: (height, width) of the image in pixels.
    """

    scale: Float[Tensor, " B"]
    offset: Float[Tensor, "B 2"]
    size: tuple[int, int]

    def project(self, points_camera: Float[Tensor, "B N 3"]) -> Float[Tensor, "B N 3"]:
        """Project camera-frame points (mm) to (x px, y px, depth mm along +Z)."""
        pixels = self.scale[:, None, None] * points_camera[..., :2] + self.offset[:, None]
        return torch.cat([pixels, points_camera[..., 2:]], dim=-1)

    def scaled(self, factor: float | int) -> "WeakPerspectiveCamera":
        """The same view in an image ``factor`` times as large in each direction."""
        height, width = self.size
        size = (round(height * factor), round(width * factor))
        return WeakPerspectiveCamera(self.scale * factor, self.offset * factor, size)

    def cropped(self, x0: float | int, y0: float | int, size: tuple[int, int]) -> "WeakPerspectiveCamera":
        """The view of the rectangle of ``size`` (height, width) whose top-left corner is (x0, y0) px."""
        return replace(self, offset=self.offset - self.offset.new_tensor([x0, y0]), size=size)

    def to(self, device: torch.device | str) -> "WeakPerspectiveCamera":
        """Return the same cameras on another device."""
        return replace(self, scale=self.scale.to(device), offset=self.offset.to(device))


Camera = PerspectiveCamera | WeakPerspectiveCamera
