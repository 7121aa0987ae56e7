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
from fit_evaluation.scan_error import RADIUS, SEVEN, Scan

NARROW_FACE = 6706  # the first vertices: the face without neck and ears
DISTANCE = (600.0, 1500.0)  # mm
YAW, PITCH, ROLL = 0.45, 0.2, 0.1  # radians, standard deviations (yaw: uniform within)
EYES_PX = 300.0  # size of the image of the eyes' distance; only ratios matter
SIZE = (1024, 1024)


@dataclass(frozen=True)
class IctHeads:
    """The ICT model and where its 478 landmarks lie.

    Attributes:
        model: neutral and modes, mm.
        corners: three vertices around each landmark.
        weights: of the corners.
    """

    model: ScanModel
    corners: ndarray
    weights: ndarray

    @classmethod
    def read(cls, path: Path, points: Path) -> "IctHeads":
        """Read ``ict_facekit.npz`` and the points that ``build_base_model.py`` found on its neutral."""
        model = read_scan_model(path)
        with np.load(points, allow_pickle=False) as stored:
            dense = stored["points"]
        triangle, weights, _ = attach(dense, model.neutral, model.drawn_faces)
        return cls(model, model.drawn_faces[triangle], weights)

    def draw(self, generator: np.random.Generator) -> tuple[Scan, Float[ndarray, "478 3"]]:
        """A random person: the face's surface as a scan, and the landmarks; mm."""
        vertices = self.model.person(generator.standard_normal(len(self.model.modes)))
        landmarks = (vertices[self.corners] * self.weights[..., None]).sum(1)
        seven = landmarks[list(SEVEN.values())]
        face = vertices[:NARROW_FACE:3]
        near = np.linalg.norm(face - landmarks[SEVEN["nose_tip"]], axis=1) < RADIUS
        return Scan(face[near], seven), landmarks


def photograph(
    landmarks: Float[ndarray, "N 478 3"], generator: np.random.Generator
) -> tuple[Float[Tensor, "N 478 2"], tuple[int, int]]:
    """Exact pixels of landmarks (mm) seen from random directions and distances."""
    count = len(landmarks)
    centred = landmarks - landmarks.mean(1, keepdims=True)
    angle = np.stack(
        [
            PITCH * generator.standard_normal(count),
            generator.uniform(-YAW, YAW, count),
            ROLL * generator.standard_normal(count),
        ]
    )
    turned = np.einsum("nij,nlj->nli", _rotation(*angle), centred) * [1.0, -1.0, -1.0]
    distance = generator.uniform(*DISTANCE, count)
    focal = EYES_PX / 90.0 * distance
    depth = turned[..., 2] + distance[:, None]
    pixels = focal[:, None, None] * turned[..., :2] / depth[..., None] + 0.5 * SIZE[0]
    return torch.from_numpy(pixels.astype(np.float32)), SIZE


def _rotation(pitch: ndarray, yaw: ndarray, roll: ndarray) -> ndarray:
    zero, one = np.zeros_like(pitch), np.ones_like(pitch)

    def about(axis: int, angle: ndarray) -> ndarray:
        c, s = np.cos(angle), np.sin(angle)
        rows = {
            0: [one, zero, zero, zero, c, -s, zero, s, c],
            1: [c, zero, s, zero, one, zero, -s, zero, c],
            2: [c, -s, zero, s, c, zero, zero, zero, one],
        }[axis]
        return np.stack(rows, 1).reshape(-1, 3, 3)

    return about(2, roll) @ about(0, pitch) @ about(1, yaw)
