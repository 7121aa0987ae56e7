"""A cap of hair in its photo."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray

from facewright.detection.hair_look import HairLook
from facewright.geometry.mesh import Mesh
from facewright.models.hair_cap import HairCap
from facewright.render.rasterize import rasterize
from facewright.scene.camera import Camera, PerspectiveCamera
from facewright.scene.pose import Pose

CapSurface = tuple[Float[ndarray, "N 3"], Float[ndarray, "N 3"]]  # places (mm) and ways outward
DOME = 25.0  # mm off the skin that hair may be expected...
DOME_ABOVE = -60.0  # ... as low as this, mm above the brows
FACE_SIZE, HIDDEN = 192, 5.0  # pixels of the picture that tells what the face hides, and mm behind it


@dataclass(frozen=True)
class HairView:
    """A cap in a photo.

    Attributes:
        cap: of the model.
        points: its places without ears, mm, head frame.
        outward: unit directions off it.
        pose: camera_from_head, B = 1.
        camera: of the photo.
        look: at the photo.
        face: depth (mm) of the rest of the head in a small picture, 0 where it is not.
        corner: of that picture in the photo (x, y, px), and its pixels to one of the photo.
    """

    cap: HairCap
    points: Float[ndarray, "N 3"]
    outward: Float[ndarray, "N 3"]
    pose: Pose
    camera: Camera
    look: HairLook
    face: Float[ndarray, "R C"]
    corner: tuple[float, float, float]

    @classmethod
    def of(
        cls, cap: HairCap, surface: CapSurface, mesh: Mesh, pose: Pose, camera: Camera, look: HairLook
    ) -> "HairView":
        """Look at a head's cap: its vertices with the photo's expression (mm, head frame), B = 1.

        ``surface`` is what ``HairCap.surface`` makes of these vertices.
        """
        pixels = camera.project(pose.camera_from_head(mesh.vertices[None]))
        low, high = pixels[0, :, :2].amin(0), pixels[0, :, :2].amax(0)
        scale = FACE_SIZE / float((high - low).max().clamp_min(1e-6))
        kept = torch.ones(len(mesh.topology.faces), dtype=torch.bool, device=pixels.device)
        kept[cap.triangle.to(pixels.device)] = False
        flat = torch.cat([(pixels[..., :2] - low) * scale, pixels[..., 2:]], dim=-1)
        size, perspective = (FACE_SIZE, FACE_SIZE), isinstance(camera, PerspectiveCamera)
        face = rasterize(flat, mesh.topology.faces[kept], size, perspective=perspective).depth[0]
        corner = (float(low[0]), float(low[1]), scale)
        return cls(cap, *surface, pose, camera, look, face.cpu().double().numpy(), corner)

    def behind_face(
        self, places: Float[ndarray, "M 3"], pixels: Float[ndarray, "M 2"]
    ) -> Bool[ndarray, " M"]:
        """Which places (camera frame) are hidden by the part of the head that is no cap."""
        left, top, scale = self.corner
        column, row = ((pixels - [left, top]) * scale).astype(int).clip(0, FACE_SIZE - 1).T
        foremost = self.face[row, column]
        return (foremost > 0) & (places[:, 2] > foremost + HIDDEN)

    def at(self, points: Float[ndarray, "M 3"]) -> tuple[Float[ndarray, "M 3"], Float[ndarray, "M 2"]]:
        """Camera frame and pixels."""
        places = self.pose.camera_from_head(torch.from_numpy(points)[None].to(self.pose.rotation))
        pixels = self.camera.project(places)[0, :, :2]
        return places[0].cpu().double().numpy(), pixels.cpu().double().numpy()

    def facing(self, places: Float[ndarray, "M 3"], normals: Float[ndarray, "M 3"]) -> Float[ndarray, " M"]:
        """Cosine between normals (head frame) and the way to the viewer."""
        view = np.array([[0.0, 0.0, 1.0]])
        if isinstance(self.camera, PerspectiveCamera):
            view = places / np.linalg.norm(places, axis=1, keepdims=True)
        return -((normals @ self.pose.rotation[0].cpu().double().numpy().T) * view).sum(1)

    def across(self) -> Float[ndarray, "3"]:
        """Unit way (head frame) across the picture, level with the head and to the subject's left."""
        across = self.pose.rotation[0, 0].cpu().double().numpy() * [1.0, 0.0, 1.0]
        return across / np.linalg.norm(across)

    def lifted(self, field: Float[ndarray, " K"]) -> Float[ndarray, "N 3"]:
        """The cap, as far off the skin as a field of the knots says (mm)."""
        return self.points + (self.cap.spread @ field)[:, None] * self.outward


def hair_dome(cap: HairCap, surface: CapSurface, pose: Pose, camera: Camera) -> Float[ndarray, "_ 2"]:
    """Pixels of points off the upper part of a cap's surface: where hair may be expected (B = 1)."""
    points, outward = surface
    high = cap.height > DOME_ABOVE
    places = torch.from_numpy((points + DOME * outward)[high])[None].to(pose.rotation)
    return camera.project(pose.camera_from_head(places))[0, :, :2].cpu().double().numpy()
