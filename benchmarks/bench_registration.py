"""Non-rigid ICP against ``trimesh.registration.nricp_amberg``: same mesh, stages, iterations and weights.

``python -m benchmarks.bench_registration`` (trimesh takes minutes at 20k vertices; it is run once a setting).

The last lines tell the error of each: mean distance to the clean target and to each vertex's true place.
"""

import time
from collections.abc import Callable

import numpy as np
import trimesh
from numpy import ndarray
from trimesh.registration import nricp_amberg

from benchmarks.harness import Timing, run, show
from facewright.geometry.nearest import closest_points, index_surface
from facewright.registration.correspondence import prepare_target
from facewright.registration.nonrigid import ClosestPointTerm, Deformation, LandmarkTerm, deform
from facewright.registration.schedule import NonRigidSettings, Stage
from facewright.registration.solver import SolverName

Mesh = tuple[ndarray, ndarray]  # vertices, faces
Call = Callable[[], ndarray]

# trimesh's default stages: stiffness, landmarks, power of the normals' cosine.
STAGES = ((0.01, 10.0, 0.5), (0.02, 5.0, 0.5), (0.03, 2.5, 0.5), (0.01, 0.0, 0.0))
ITERATIONS = 4
SOLVERS: tuple[tuple[SolverName, int], ...] = (("multigrid", 3), ("superlu", 1))  # and how often each is run
NOISE, LANDMARKS, FARTHEST = 0.002, 30, 0.1


def face_like_cap(count: int) -> tuple[ndarray, ndarray]:
    """About ``count`` vertices on the front of an ellipsoid with a nose, in [-1, 1]."""
    rows = round(np.sqrt(count * 1.3))
    columns = round(count / rows)
    v, u = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    x, y = 0.75 * np.sin(1.3 * u), np.sin(1.3 * v)
    z = 0.9 * np.cos(1.3 * u) * np.cos(1.1 * v) + 0.2 * np.exp(-((x / 0.15) ** 2) - ((y + 0.1) / 0.25) ** 2)
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    a, b, c, d = corner, corner + 1, corner + columns + 1, corner + columns
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    return np.stack([x, y, z], -1).reshape(-1, 3), faces.astype(np.int64)


def deformed(points: ndarray) -> ndarray:
    """A smooth deformation by a tenth of the size."""
    generator = np.random.default_rng(1)
    moved = points.copy()
    for _ in range(8):
        centre, push = generator.uniform(-0.8, 0.8, 3), 0.06 * generator.normal(size=3)
        moved += np.exp(-((points - centre) ** 2).sum(1) / 0.3)[:, None] * push
    return moved


def _centroid(vertices: ndarray, faces: ndarray) -> ndarray:
    corners = vertices[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    return (corners.mean(1) * area[:, None]).sum(0) / area.sum()


def benchmark(_seconds: float) -> list[Timing]:
    """Time both at 5k and 20k template vertices."""
    timings: list[Timing] = []
    errors: list[str] = []
    for count in (5_000, 20_000):
        template, faces = face_like_cap(count)
        truth = deformed(template)
        # trimesh moves the template's centroid to the origin, to which the maps' linear parts refer.
        middle = _centroid(template, faces)
        template, truth = template - middle, truth - middle
        clean, target_faces = face_like_cap(30_000)
        clean = deformed(clean) - middle
        target = clean + NOISE * np.random.default_rng(2).normal(size=clean.shape)
        chosen = np.random.default_rng(3).choice(len(template), LANDMARKS, replace=False)
        setting = f"{len(template)} to {len(target)} vertices, {ITERATIONS * len(STAGES)} iterations"
        meshes = (template, faces), (target, target_faces)
        landmarks = chosen, truth[chosen]
        candidates: list[tuple[str, Call, int]] = []
        for wanted, repeats in SOLVERS:
            solver, call = _ours(*meshes, landmarks, wanted)
            candidates.append((f"facewright, {solver}", call, repeats))
        candidates.append(("trimesh", _trimesh(*meshes, landmarks), 1))
        surface = index_surface(clean, target_faces)
        for name, call, repeats in candidates:
            timing, vertices = _timed(setting, name, call, repeats)
            timings.append(timing)
            off = closest_points(surface, vertices).distance.mean()
            slid = np.linalg.norm(vertices - truth, axis=1).mean()
            errors.append(f"{setting}: {name}: surface {off:.5f}, correspondence {slid:.5f}")
    show(timings)
    print("\n".join(errors))
    return timings


def _timed(setting: str, name: str, call: Call, repeats: int) -> tuple[Timing, ndarray]:
    samples = []
    vertices = np.zeros((0, 3))
    for _ in range(repeats):
        start, busy = time.perf_counter(), time.process_time()
        vertices = call()
        samples.append(((time.perf_counter() - start) * 1e3, (time.process_time() - busy) * 1e3))
    wall, used = np.array(samples).T
    low, median, high = np.percentile(wall, [25, 50, 75]).tolist()
    return Timing(setting, name, median, (low, high), repeats, None, float(np.median(used))), vertices


def _ours(
    template: Mesh, target: Mesh, landmarks: tuple[ndarray, ndarray], solver: SolverName
) -> tuple[str, Call]:
    """The solver's name, and a call that registers; all preparation is in it, as in trimesh's."""
    vertices, faces = template
    scale = float(np.linalg.norm(np.ptp(vertices, axis=0)))  # of trimesh: the bounding box's diagonal
    # trimesh lists each inner edge twice, which makes its stiffness larger by the root of two.
    stages = tuple(
        Stage(stiffness * 2**0.5, marks, ITERATIONS, FARTHEST * scale, -1.0, power)
        for stiffness, marks, power in STAGES
    )
    chosen, places = landmarks
    carrier = np.array([np.flatnonzero((faces == vertex).any(1))[0] for vertex in chosen])
    corner = (faces[carrier] == chosen[:, None]).astype(np.float64)

    def registered(used: tuple[Stage, ...], least_motion: float) -> Deformation:
        surface = prepare_target(*target)
        surface.border[:] = False  # trimesh believes matches on the rim
        # and weighs the normals around a vertex by angle, not by area.
        surface.normals[:] = trimesh.Trimesh(*target, process=False).vertex_normals
        terms = [
            ClosestPointTerm(surface, np.ones(len(vertices))),
            LandmarkTerm(carrier, corner, places, np.ones(len(chosen))),
        ]
        settings = NonRigidSettings(stages=used, unit=scale, least_motion=least_motion, solver=solver)
        return deform(vertices, faces, terms, settings)

    name = registered(stages[:1], 1e9).solver  # compiles, and tells which solver runs
    return name, lambda: registered(stages, 0.0).vertices


def _trimesh(template: Mesh, target: Mesh, landmarks: tuple[ndarray, ndarray]) -> Call:
    chosen, places = landmarks

    def call() -> ndarray:
        moved = nricp_amberg(
            trimesh.Trimesh(*template, process=False),
            trimesh.Trimesh(*target, process=False),
            source_landmarks=chosen,
            target_positions=places,
            steps=[[*stage, ITERATIONS] for stage in STAGES],
            eps=-1e9,  # never stop before the iterations are done
            distance_threshold=FARTHEST,
        )
        return np.asarray(moved)

    return call


if __name__ == "__main__":
    run(benchmark, "Non-rigid ICP against trimesh.")
