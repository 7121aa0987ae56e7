"""Distance of a raw scan from a fitted head after alignment by landmarks and ICP."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy import ndarray

from facewright.geometry.alignment import Alignment, align_points
from facewright.geometry.nearest import closest_points, index_surface
from facewright.models.face_model import FaceModel

# The scans' seven landmarks, and which of the model's 478 each is.
SEVEN = {
    "right_eye_outer": 33,
    "right_eye_inner": 133,
    "left_eye_inner": 362,
    "left_eye_outer": 263,
    "nose_tip": 1,
    "right_mouth_corner": 61,
    "left_mouth_corner": 291,
}
RADIUS = 90.0  # mm around the nose tip
ICP_STEPS = 40
TRIM = 10.0  # mm; scan points further from the head (hair, spikes) do not move the alignment


@dataclass(frozen=True)
class Scan:
    """A raw scan: points near the nose tip, and the seven landmarks, mm."""

    points: ndarray
    landmarks: ndarray


@dataclass(frozen=True)
class ScanError:
    """Distances (mm) from the scan's points to the head's surface, and the scale that was applied."""

    mean: float
    median: float
    rms: float
    p95: float
    scale: float


def read_scan(folder: Path) -> Scan:
    """Read ``scan.obj`` and ``landmarks.json`` of a scan folder."""
    rows = [line.split()[1:4] for line in (folder / "scan.obj").open() if line.startswith("v ")]
    vertices = np.array(rows, dtype=np.float64)
    named = json.loads((folder / "landmarks.json").read_text())["landmarks"]
    landmarks = np.array([named[name]["xyz"] for name in SEVEN])
    near = np.linalg.norm(vertices - landmarks[list(SEVEN).index("nose_tip")], axis=1) < RADIUS
    return Scan(vertices[near], landmarks)


def scan_error(model: FaceModel, vertices: torch.Tensor, scan: Scan, *, with_scale: bool) -> ScanError:
    """Align the scan to the head (7 landmarks, then ICP) and measure every scan point near the nose tip.

    Args:
        model: gives triangles and landmarks.
        vertices: (V, 3) fitted head, mm, head frame.
        scan: raw scan.
        with_scale: similarity instead of rigid alignment. Distances are in the scan's mm either way.
    """
    own = model.landmark_points(vertices, "dense478")[list(SEVEN.values())].double()[None]
    target = torch.from_numpy(scan.landmarks)[None]
    alignment = align_points(target, own, with_scale=with_scale)
    skin = model.parts["skin"].numpy()
    faces = model.topology.faces.numpy()
    surface = index_surface(vertices.double().numpy(), faces[skin[faces].all(1)])
    points = torch.from_numpy(scan.points)[None]
    for _ in range(ICP_STEPS):
        moved = alignment.apply(points)
        found = closest_points(surface, moved[0].numpy())
        weights = torch.from_numpy((found.distance < TRIM).astype(np.float64))[None]
        new = align_points(points, torch.from_numpy(found.points)[None], weights, with_scale=with_scale)
        if _movement(alignment, new, points) < 1e-3:
            break
        alignment = new
    found = closest_points(surface, alignment.apply(points)[0].numpy())
    scale = float(alignment.scale)
    distance = found.distance / scale
    return ScanError(
        float(distance.mean()),
        float(np.median(distance)),
        float(np.sqrt((distance**2).mean())),
        float(np.quantile(distance, 0.95)),
        1 / scale,
    )


def _movement(old: Alignment, new: Alignment, points: torch.Tensor) -> float:
    return float((old.apply(points) - new.apply(points)).norm(dim=-1).max())
