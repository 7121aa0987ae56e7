"""All numbers that describe one head in one photo (or a batch of them)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.scene.camera import Camera
from facewright.scene.lighting import PointLight, SphericalHarmonicsLight
from facewright.scene.material import SKIN_SHININESS
from facewright.scene.pose import Pose


@dataclass(frozen=True)
class HeadParameters:
    """Coefficients of a face model together with pose, camera and light.

    Attributes:
        identity: standard deviations.
        expression: activations of the model's named expressions, 0 rest, 1 full.
        diffuse: diffuse albedo coefficients, standard deviations.
        specular: specular albedo coefficients, standard deviations.
        pose: camera_from_head.
        camera: camera frame to pixels of the photo.
        light: diffuse light in the camera frame, linear.
        point_light: an additional light that makes highlights, or None.
        shininess: Blinn-Phong exponent of the skin; None if it was not measured.
    """

    identity: Float[Tensor, "B K_identity"]
    expression: Float[Tensor, "B K_expression"]
    diffuse: Float[Tensor, "B K_diffuse"]
    specular: Float[Tensor, "B K_specular"]
    pose: Pose
    camera: Camera
    light: SphericalHarmonicsLight
    point_light: PointLight | None = None
    shininess: Float[Tensor, " B"] | None = None

    @property
    def exponent(self) -> Float[Tensor, " B"]:
        """``shininess``, or ``SKIN_SHININESS`` if it was not measured."""
        if self.shininess is not None:
            return self.shininess
        return torch.full_like(self.pose.translation[:, 0], SKIN_SHININESS)
