"""Lights as a photographer sets them up: soft light and one lamp, around a head, seen from the camera."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.scene.lighting import SH_CONSTANTS, PointLight, SphericalHarmonicsLight, soft_light

LAMP_DISTANCE = 1200.0  # mm from the middle of the head: beyond arm's length, so that no cheek burns
Color = tuple[float, float, float]
WHITE: Color = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Lamp:
    """A lamp, by where it stands as the camera sees it.

    Attributes:
        yaw: radians around the head; 0 is at the camera, positive to the right of the picture, pi behind.
        pitch: radians above the head's height.
        intensity: shading of a surface that faces the lamp.
        color: linear RGB.
    """

    yaw: float | int
    pitch: float | int
    intensity: float | int = 1.0
    color: Color = WHITE

    def light(self, middle: Float[Tensor, "B 3"]) -> PointLight:
        """The point light of heads whose middles (mm, camera frame) are given."""
        direction = (
            math.sin(self.yaw) * math.cos(self.pitch),
            -math.sin(self.pitch),
            -math.cos(self.yaw) * math.cos(self.pitch),
        )
        place = middle + LAMP_DISTANCE * middle.new_tensor(direction)
        return PointLight(place, self.intensity * middle.new_tensor([self.color]).expand(len(middle), 3))


@dataclass(frozen=True)
class StudioLight:
    """Soft light and perhaps a lamp. Only ratios count: a picture's exposure is set apart from its light.

    Attributes:
        level: soft shading of a surface that faces sideways.
        above: what a surface that faces up gets more, and one that faces down less.
        front: what a surface that faces the camera gets more.
        right: what a surface that faces the right of the picture gets more.
        color: of the soft light, linear RGB.
        lamp: the hard light, or None.
        exposure: brightness of the face, 1 as in its photo.
    """

    level: float = 0.3
    above: float = 0.0
    front: float = 0.0
    right: float = 0.0
    color: Color = WHITE
    lamp: Lamp | None = None
    exposure: float = 1.0

    def ambient(self, batch: int, device: torch.device | str = "cpu") -> SphericalHarmonicsLight:
        """The soft light, camera frame."""
        white = soft_light(batch, self.level, above=self.above, front=self.front, device=device)
        white.coefficients[:, 3] = self.right / SH_CONSTANTS[3]
        return SphericalHarmonicsLight(white.coefficients * white.coefficients.new_tensor(self.color))


def _degrees(yaw: float | int, pitch: float | int, intensity: float | int, color: Color = WHITE) -> Lamp:
    return Lamp(math.radians(yaw), math.radians(pitch), intensity, color)


SUN: Color = (1.0, 0.52, 0.2)
SKY: Color = (0.55, 0.7, 1.0)
PRESETS: dict[str, StudioLight] = {
    "soft-front": StudioLight(0.7, above=0.1, front=0.25),
    "left": StudioLight(0.16, lamp=_degrees(-70, 15, 1.0), exposure=0.75),
    "right": StudioLight(0.16, lamp=_degrees(70, 15, 1.0), exposure=0.75),
    "rembrandt": StudioLight(0.14, above=0.05, lamp=_degrees(-45, 40, 1.0), exposure=0.85),
    "rim": StudioLight(0.2, front=0.08, right=-0.12, lamp=_degrees(148, 25, 2.2), exposure=0.5),
    "sunset": StudioLight(0.25, above=0.1, color=SKY, lamp=_degrees(60, 6, 1.0, SUN), exposure=0.9),
    "moonlight": StudioLight(0.2, above=0.1, color=SKY, lamp=_degrees(-50, 45, 0.5, SKY), exposure=0.35),
    "under": StudioLight(0.2, above=-0.12, lamp=_degrees(10, -50, 0.9), exposure=0.65),
}
