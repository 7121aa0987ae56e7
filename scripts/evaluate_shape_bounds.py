"""Print how near the shipped head can come to heads of another generator, whoever finds its coefficients.

    python scripts/evaluate_shape_bounds.py --shards DIR --shard-model FILE [--count 20]

On the heads of ``evaluate_specular.py``, with its protocol "now" (median and mean distance, mm): the mean
head; the head whose 51 landmarks inside the face lie nearest to the true ones, which are known exactly in 3D;
and the head whose surface lies nearest to the true one. No photo is looked at.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy import ndarray
from threadpoolctl import threadpool_limits

from evaluate_specular import neutral
from facewright.data.shard_reader import ShardSet
from facewright.evaluation.aligned import start_by_landmarks
from facewright.evaluation.alignment import moved
from facewright.evaluation.cropping import now_sphere
from facewright.evaluation.protocols.now import NowSettings, measure_now
from facewright.evaluation.records import FaceSample
from facewright.geometry.alignment import align_points
from facewright.geometry.nearest import closest_points, index_surface
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from facewright.models.storage import load_face_model

INNER = slice(17, 68)
POINT_RIDGE, SURFACE_RIDGE = (
    0.3,
    1e-3,
)  # mm^2 of a standard deviation: of those tried the nearest to the truth
FURTHEST = 10.0  # mm; matches beyond it do not count
STEPS = 10


def by_landmarks(model: FaceModel, true: ndarray) -> ndarray:
    """Identity whose inner landmarks lie nearest to true ones (68,3), up to a similarity."""
    marks, faces = model.landmarks["ibug68"], model.topology.faces
    basis = marks.on(model.identity_basis, faces).double().numpy()[:, INNER]
    mean = marks.on(model.mean, faces).double().numpy()[INNER]
    columns = basis.reshape(len(basis), -1).T
    matrix = columns.T @ columns / len(mean) + POINT_RIDGE * np.eye(len(basis))
    found = np.zeros(len(basis))
    for _ in range(STEPS):
        own = torch.from_numpy(mean + np.tensordot(found, basis, 1))[None]
        goal = moved(align_points(torch.from_numpy(true[INNER])[None], own, with_scale=True), true[INNER])
        found = np.linalg.solve(matrix, columns.T @ (goal - mean).reshape(-1) / len(mean))
    return found


def by_surface(model: FaceModel, scan: FaceSample) -> ndarray:
    """Identity whose surface lies nearest to the points of a face, up to a similarity."""
    basis, mean = model.identity_basis.double().numpy(), model.mean.double().numpy()
    faces, count = model.topology.faces.numpy(), len(basis)
    found = np.zeros(count)
    start = start_by_landmarks(neutral(model, torch.zeros(1, count), "mean"), scan, with_scale=True)
    sphere, _ = now_sphere(scan.landmarks, NowSettings().crop_factor)
    points = moved(start.alignment.inverse(), scan.vertices[sphere.inside(scan.vertices)])
    for _ in range(STEPS):
        vertices = mean + np.tensordot(found, basis, 1)
        surface = index_surface(vertices, faces)
        match = closest_points(surface, points)
        near = match.distance < FURTHEST
        corners = faces[match.triangle[near]]
        sides = vertices[corners[:, 1:]] - vertices[corners[:, :1]]
        normal = np.cross(sides[:, 0], sides[:, 1])
        normal /= np.linalg.norm(normal, axis=1, keepdims=True).clip(1e-12)
        weights = match.barycentric[near]
        by_identity = np.zeros((len(normal), count))
        for corner in range(3):
            along = np.einsum("knc,nc->nk", basis[:, corners[:, corner]], normal)
            by_identity += weights[:, corner, None] * along
        chosen = points[near]
        by_motion = [-np.cross(chosen, normal), -normal, -(chosen * normal).sum(1, keepdims=True)]
        rows = np.concatenate([by_identity, *by_motion], axis=1)
        ridge = np.full(count + 7, 1e-9)
        ridge[:count] = SURFACE_RIDGE
        residual = ((chosen - match.points[near]) * normal).sum(1)
        slope = rows.T @ residual / len(rows)
        slope[:count] -= SURFACE_RIDGE * found
        step = np.linalg.solve(rows.T @ rows / len(rows) + np.diag(ridge), slope)
        found = found + step[:count]
        turn, shift, growth = step[count : count + 3], step[count + 3 : count + 6], step[-1]
        points = points + np.cross(turn, points) + shift + growth * points
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--shard-model", type=Path, required=True)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--scan-step", type=int, default=12, help="every so many-th true vertex is used")
    options = parser.parse_args()
    torch.set_num_threads(1)
    threadpool_limits(1)
    model, other = load_base_model(), load_face_model(options.shard_model)
    shards = ShardSet.open(options.shards)
    found: dict[str, list[tuple[float, float]]] = {}
    for row in np.linspace(0, len(shards) - 1, min(options.count, len(shards))).astype(int):
        identity = shards.photo(int(row)).parameters.identity
        scan = neutral(other, identity, str(row), options.scan_step)
        marks = other.landmark_points(other.vertices(identity)[0], "ibug68").double().numpy()
        heads = {
            "mean head": np.zeros(model.identity_count),
            "exact landmarks": by_landmarks(model, marks),
            "exact surface": by_surface(model, scan),
        }
        for name, coefficients in heads.items():
            head = neutral(model, torch.from_numpy(coefficients).float()[None], name)
            errors = measure_now(head, scan, NowSettings()).parts["face"].summary
            found.setdefault(name, []).append((errors.median, errors.mean))
    for name, values in found.items():
        median, mean = np.mean(values, axis=0)
        print(f"{name:16s} median {median:.3f}, mean {mean:.3f} mm, n = {len(values)}")


if __name__ == "__main__":
    main()
