"""Print how much simple measures of the head differ among random heads, scanned people and fitted people.

    python scripts/measure_head_spread.py [--shared ../shared] [--model FILE] [--heads 500]

Each number is the standard deviation, in per cent, of a distance between two landmarks of the neutral head,
over the head's size (the geometric mean of four distances): photos do not tell how large a head is. Random
heads have coefficients N(0, 1); scanned people are those of the ICT model; fitted people are kept-out people
whose labelled landmarks were fitted; `landmarks` is what those landmarks themselves vary in frontal photos
of closed mouths (between people: that between photos of one person is taken off).
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from base_model import gates
from base_model.scan_statistics import read_scan_model
from facewright.data.datasets.kept_out import is_kept_out
from facewright.fitting.landmark import fit_landmarks
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel

DISTANCES = {
    "between outer eye corners": (33, 263),
    "between inner eye corners": (133, 362),
    "nose width": (129, 358),
    "nose length": (168, 2),
    "nose depth": (1, 2),
    "mouth width": (61, 291),
    "face width": (234, 454),
    "jaw width": (172, 397),
    "face height": (10, 152),
    "lower lip to chin": (17, 152),
    "nose to upper lip": (2, 0),
    "brow to eye": (105, 159),
}
SIZE = ("between outer eye corners", "nose length", "face width", "face height")
FRONTAL, CLOSED = 0.25, 0.1  # rad; activation of jawOpen
PIXELS_PER_UNIT = 64  # of the stored labels


def measures(points: np.ndarray) -> np.ndarray:
    """(N,D) logarithms of the distances over the head's size, for points (N,478,2 or 3)."""
    logs = np.log([np.linalg.norm(points[:, a] - points[:, b], axis=1) for a, b in DISTANCES.values()]).T
    return logs - logs[:, [list(DISTANCES).index(name) for name in SIZE]].mean(1, keepdims=True)


def random_heads(model: FaceModel, count: int) -> np.ndarray:
    """Measures of heads with coefficients N(0, 1)."""
    heads = np.concatenate(list(gates.random_heads(model, count, 0)))
    return measures(model.landmark_points(torch.from_numpy(heads), "dense478").numpy())


def scanned_people(model: FaceModel, path: Path, count: int) -> np.ndarray:
    """Measures of identities of the scan model, at the vertices where its neutral's landmarks lie."""
    scans = read_scan_model(path)
    vertex = gates.scan_landmark_vertices(model, scans)
    draws = np.random.default_rng(0).standard_normal((count, len(scans.modes)))
    return measures(scans.neutral[vertex] + np.tensordot(draws, scans.modes[:, vertex], 1))


def people_in_photos(model: FaceModel, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Measures of fitted kept-out people, and variances (D,) of their landmarks in frontal photos."""
    with np.load(path) as stored:
        rows = np.flatnonzero([is_kept_out(str(person)) for person in stored["identity"]])
        people, landmarks = stored["identity"][rows], stored["landmarks"][rows].astype(np.float32)
        turn = stored["transform"][rows, :3, :3]
        jaw = stored["blendshapes"][rows, list(stored["blendshape_names"]).index("jawOpen")] / 255.0
    pixels = torch.from_numpy(landmarks[..., :2] / PIXELS_PER_UNIT)
    fits = [fit_landmarks(model, part, (160, 160)).parameters.identity for part in pixels.split(256)]
    _, first = np.unique(people, return_index=True)
    fitted = measures(model.landmark_points(model.vertices(torch.cat(fits)[first]), "dense478").numpy())
    frontal = (np.arccos(np.clip(turn[:, 2, 2], -1, 1)) < FRONTAL) & (jaw < CLOSED)
    flat = measures(np.matmul(landmarks[frontal] * [1.0, -1.0, -1.0], turn[frontal])[..., :2])
    _, person, count = np.unique(people[frontal], return_inverse=True, return_counts=True)
    mean = np.stack([np.bincount(person, column) / count for column in flat.T], axis=1)
    within = ((flat - mean[person]) ** 2).sum(0) / (count - 1).sum()
    return fitted, np.maximum(flat.var(0) - within, 0.0)


def main() -> None:
    """Measure and print."""
    root = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=root.parent / "shared", help="folder with data/")
    parser.add_argument("--model", type=Path, help="another file than the packaged one")
    parser.add_argument("--heads", type=int, default=500)
    arguments = parser.parse_args()
    model, data = load_base_model(arguments.model), arguments.shared / "data"
    fitted, between = people_in_photos(model, data / "faces_in_the_wild" / "labels.npz")
    columns = [
        random_heads(model, arguments.heads).std(0),
        scanned_people(model, data / "ict_facekit.npz", arguments.heads).std(0),
        fitted.std(0),
        np.sqrt(between),
    ]
    print(f"{'per cent':28s} random scanned fitted landmarks")
    for name, row in zip(DISTANCES, 100.0 * np.stack(columns, axis=1), strict=True):
        print(f"{name:28s} {row[0]:6.1f} {row[1]:7.1f} {row[2]:6.1f} {row[3]:9.1f}")


if __name__ == "__main__":
    main()
