"""Print how well and how fast the landmark fit follows detected landmarks on kept-out people.

    python scripts/evaluate_fit.py [--data ../shared/data]

The teacher's labels stand for the detected landmarks. Error: mean distance between fitted and detected
points, contour left out, as a part of the distance between the outer eye corners (points 33 and 263).
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from facewright.detection.landmark_errors import load_landmark_errors
from facewright.fitting.landmark import fit_landmarks
from facewright.fitting.landmark_basis import LandmarkBasis, landmark_basis
from facewright.fitting.settings import LandmarkFitSettings
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from training_data.split import is_kept_out

PIXELS_PER_UNIT = 64  # of the stored labels
TARGET_ERROR, TARGET_MS = 0.015, 2.5
BATCH = 256


def kept_out_faces(data: Path, count: int) -> tuple[torch.Tensor, tuple[int, int], list[str]]:
    """Landmarks (N, 478, 2) in pixels, an image size that holds them, and the people."""
    labels = np.load(data / "faces_in_the_wild" / "labels.npz")
    people = [str(person) for person in labels["identity"]]
    rows = np.array([is_kept_out(person) for person in people]).nonzero()[0][:count]
    points = labels["landmarks"][rows][..., :2].astype(np.float32) / PIXELS_PER_UNIT
    return torch.from_numpy(points), (160, 160), [people[row] for row in rows]


def stability(identity: torch.Tensor, people: list[str]) -> tuple[float, float]:
    """RMS distance of identity coefficients between photos of one person, and of different people."""
    names = np.array(people)
    same = torch.from_numpy(names[:, None] == names[None])
    distance = torch.cdist(identity, identity)
    other = ~same
    same.fill_diagonal_(False)
    return float(distance[same].mean()), float(distance[other].mean())


def batch_time(model: FaceModel, basis: LandmarkBasis, landmarks: torch.Tensor, repeats: int) -> float:
    """Best time of a batch (ms a face): the machine's other work only ever adds."""
    points = landmarks.repeat(BATCH // len(landmarks) + 1, 1, 1)[:BATCH]
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        fit_landmarks(model, points, (160, 160), basis=basis)
        best = min(best, time.perf_counter() - start)
    return best / BATCH * 1e3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--count", type=int, default=100_000, help="faces at most")
    parser.add_argument("--repeats", type=int, default=5, help="of the timing")
    arguments = parser.parse_args()
    model = load_base_model()
    basis = landmark_basis(model, load_landmark_errors())
    landmarks, size, people = kept_out_faces(arguments.data, arguments.count)
    parts = [
        fit_landmarks(model, part, size, basis=basis, settings=LandmarkFitSettings())
        for part in landmarks.split(BATCH)
    ]
    residual = torch.cat([part.residual for part in parts])
    identity = torch.cat([part.parameters.identity for part in parts])
    print(f"faces {len(residual)} of {len(set(people))} people that no training saw")
    print(
        f"fitted against detected landmarks: mean {residual.mean():.2%}, median {residual.median():.2%}, "
        f"95 % below {residual.quantile(0.95):.2%}, worst {residual.max():.2%} "
        f"(target: mean <= {TARGET_ERROR:.1%})"
    )
    same, other = stability(identity, people)
    print(f"identity distance: one person {same:.2f}, two people {other:.2f}, ratio {same / other:.3f}")
    milliseconds = batch_time(model, basis, landmarks, arguments.repeats)
    threads = torch.get_num_threads()
    print(f"batch of {BATCH}, {threads} threads: {milliseconds:.2f} ms a face (target <= {TARGET_MS})")


if __name__ == "__main__":
    main()
