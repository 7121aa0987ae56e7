"""A cap of hair in its photo."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from facewright.detection.hair_look import HairLook
from facewright.models.hair_cap import HairCap
from facewright.scene.camera import Camera
from facewright.scene.pose import Pose

DOME = 25.0  # mm off the skin that hair may be expected...
DOME_ABOVE = -60.0  # ... as low as this, mm above the brows


@dataclass(frozen=True)
class HairView:
    """A cap in a photo: places and directions off it in the head frame (mm), and what is seen of it."""

    cap: HairCap
    points: Float[ndarray, "N 3"]
    outward: Float[ndarray, "N 3"]
    pose: Pose
    camera: Camera
    look: HairLook

    def at(self, points: Float[ndarray, "M 3"]) -> tuple[Float[ndarray, "M 3"], Float[ndarray, "M 2"]]:
        """Camera frame and pixels."""
        places = self.pose.camera_from_head(torch.from_numpy(points)[None].to(self.pose.rotation))
        pixels = self.camera.project(places)[0, :, :2]
        return places[0].cpu().double().numpy(), pixels.cpu().double().numpy()

    def facing(self, places: Float[ndarray, "M 3"], normals: Float[ndarray, "M 3"]) -> Float[ndarray, " M"]:
        """Cosine between normals (head frame) and the way to the viewer."""
        view = places / np.linalg.norm(places, axis=1, keepdims=True)
        return -((normals @ self.pose.rotation[0].cpu().double().numpy().T) * view).sum(1)

    def lifted(self, field: Float[ndarray, " K"]) -> Float[ndarray, "N 3"]:
        """The cap, as far off the skin as a field of the knots says (mm)."""
        return self.points + (self.cap.spread @ field)[:, None] * self.outward


def hair_dome(
    cap: HairCap, vertices: Float[Tensor, "V 3"], pose: Pose, camera: Camera
) -> Float[ndarray, "N 2"]:
    """Pixels of points off the upper cap: where hair may be expected in the photo (B = 1)."""
    points, outward = cap.surface(vertices)
    high = cap.height > DOME_ABOVE
    places = torch.from_numpy((points + DOME * outward)[high])[None].to(vertices)
    return camera.project(pose.camera_from_head(places))[0, :, :2].cpu().double().numpy()
