"""Heads of another model and another topology with known shape: identities of the ICT Face Model Light."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from base_model.landmarking import attach
from base_model.scan_statistics import ScanModel, read_scan_model
from facewright.geometry.rotation import rotation_from_axis_angle
from facewright.render.rasterize import rasterize
from facewright.render.visibility import vertex_visibility
from facewright.scene.camera import PerspectiveCamera

NARROW_FACE = 6706  # the first vertices: the face without neck and ears
NOSE_TIP, RADIUS, STEP = 1, 88.0, 15  # landmark; mm around it; every so many vertices are compared
DISTANCE = (600.0, 1500.0)  # mm
YAW, PITCH, ROLL = 0.45, 0.2, 0.1  # radians; yaw uniform within, the others' standard deviations
EYES_PX = 300.0  # size of the image of the eyes' distance; only ratios matter
SIZE = (1024, 1024)


@dataclass(frozen=True)
class IctHeads:
    """The ICT model and where its 478 landmarks lie.

    Attributes:
        model: neutral and modes, mm.
        corners: three vertices around each landmark.
        weights: of the corners.
        surface: vertices of the face that can be seen (not nostrils, mouth, sockets), some of them.
    """

    model: ScanModel
    corners: ndarray
    weights: ndarray
    surface: ndarray

    @classmethod
    def read(cls, path: Path, points: Path) -> "IctHeads":
        """Read ``ict_facekit.npz`` and the points that ``build_base_model.py`` found on its neutral."""
        model = read_scan_model(path)
        with np.load(points, allow_pickle=False) as stored:
            dense = stored["points"]
        triangle, weights, _ = attach(dense, model.neutral, model.drawn_faces)
        near = np.linalg.norm(model.neutral - dense[NOSE_TIP], axis=1) < RADIUS
        near[NARROW_FACE:] = False
        surface = np.flatnonzero(near & _seen(model))[::STEP]
        return cls(model, model.drawn_faces[triangle], weights, surface)

    def draw(self, generator: np.random.Generator) -> tuple[Float[ndarray, "P 3"], Float[ndarray, "478 3"]]:
        """A random person: points of the face, and the landmarks; mm."""
        vertices = self.model.person(generator.standard_normal(len(self.model.modes)))
        landmarks = (vertices[self.corners] * self.weights[..., None]).sum(1)
        return vertices[self.surface], landmarks


def photograph(
    landmarks: Float[ndarray, "N 478 3"], generator: np.random.Generator
) -> Float[Tensor, "N 478 2"]:
    """Exact pixels of landmarks (mm) seen from random directions and distances."""
    count = len(landmarks)
    centred = landmarks - landmarks.mean(1, keepdims=True)
    spread = generator.standard_normal((count, 3)) * [PITCH, 0.0, ROLL]
    spread[:, 1] = generator.uniform(-YAW, YAW, count)
    turn = rotation_from_axis_angle(torch.from_numpy(spread)).numpy()
    turned = np.einsum("nij,nlj->nli", turn, centred) * [1.0, -1.0, -1.0]
    distance = generator.uniform(*DISTANCE, count)
    focal = EYES_PX / 90.0 * distance
    depth = turned[..., 2] + distance[:, None]
    pixels = focal[:, None, None] * turned[..., :2] / depth[..., None] + 0.5 * SIZE[0]
    return torch.from_numpy(pixels.astype(np.float32))


def _seen(model: ScanModel) -> ndarray:
    """Which vertices of the neutral are seen from the front or from 40 degrees to a side."""
    vertices = torch.from_numpy(model.neutral - model.neutral[:NARROW_FACE].mean(0)).float()
    faces = torch.from_numpy(model.drawn_faces.astype(np.int64))
    camera = PerspectiveCamera(torch.tensor([1500.0]), torch.tensor([[256.0, 256.0]]), (512, 512))
    seen = torch.zeros(len(vertices), dtype=torch.bool)
    for yaw in (0.0, 0.7, -0.7):
        turn = rotation_from_axis_angle(torch.tensor([0.0, yaw, 0.0]))
        placed = vertices @ (torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ turn).T
        pixels = camera.project((placed + torch.tensor([0.0, 0.0, 1000.0]))[None])
        seen |= vertex_visibility(rasterize(pixels, faces, (512, 512), perspective=True), pixels, faces)[0]
    return seen.numpy()
