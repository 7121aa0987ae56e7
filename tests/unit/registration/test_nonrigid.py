"""Non-rigid ICP on small surfaces of known deformation."""

import numpy as np
import pytest
from tests.unit.registration.patches import grid

from facewright.registration.correspondence import match, normals_of, prepare_target
from facewright.registration.nonrigid import ClosestPointTerm, LandmarkTerm, deform
from facewright.registration.schedule import NonRigidSettings, Stage

STAGES = tuple(Stage(stiffness=s, landmarks=1.0, iterations=4, max_distance=4.0) for s in (1.0, 0.1, 0.01))
SETTINGS = NonRigidSettings(stages=STAGES, unit=10.0, solver="multigrid")


def bump(points: np.ndarray) -> np.ndarray:
    """A hill of height 2 on the patch."""
    hill = 2.0 * np.exp(-((points[:, 0] - 7) ** 2 + (points[:, 1] - 6) ** 2) / 12)
    return points + hill[:, None] * [0, 0, 1]


@pytest.fixture(scope="module")
def surfaces():
    vertices, faces = grid(13, 15)
    fine, fine_faces = grid(53, 61)
    return vertices, faces, bump((fine - [4, 4, 0]) / 4 + [1, 1, 0]), fine_faces


def test_the_template_comes_to_lie_on_the_scan(surfaces) -> None:
    vertices, faces, scan, scan_faces = surfaces
    target = prepare_target(scan, scan_faces)
    term = ClosestPointTerm(target, np.ones(len(vertices)))
    result = deform(vertices, faces, [term], SETTINGS)
    found = match(target, result.vertices, normals_of(result.vertices, faces))
    inner = ~found.on_border
    assert found.distance[inner].mean() < 0.05
    before = match(target, vertices, normals_of(vertices, faces))
    assert before.distance[inner].mean() > 0.3  # the control
    assert result.solver.startswith("multigrid")
    assert 3 <= result.iterations <= 12


def test_stray_points_and_holes_do_not_draw_the_template(surfaces) -> None:
    vertices, faces, scan, scan_faces = surfaces
    # Two holes, and within one of them a wall that faces away, 1 above what is missing there.
    hole = np.hypot(*(scan[:, :2] - [10.0, 6.0]).T) < 1.5
    hole |= (abs(scan[:, :2] - 4.0) < 1.8).all(1)
    wall, wall_faces = grid(7, 7)
    wall = wall * 0.6 + [2.2, 2.2, 1.0]
    kept = scan_faces[~hole[scan_faces].any(1)]
    joined = np.concatenate([kept, wall_faces[:, ::-1] + len(scan)])
    target = prepare_target(np.concatenate([scan, wall]), joined)
    result = deform(vertices, faces, [ClosestPointTerm(target, np.ones(len(vertices)))], SETTINGS)
    inside = ((vertices[:, :2] > 1.5) & (vertices[:, :2] < [12.5, 10.5])).all(1)
    assert abs(result.vertices - bump(result.vertices * [1, 1, 0]))[inside].max() < 0.3
    trusting = NonRigidSettings(
        stages=tuple(Stage(s.stiffness, max_distance=9.0, min_cosine=-1.0) for s in STAGES),
        unit=10.0,
        solver="multigrid",
    )
    fooled = deform(vertices, faces, [ClosestPointTerm(target, np.ones(len(vertices)))], trusting)
    # The control: whoever believes the wall is drawn to it.
    assert abs(fooled.vertices - bump(fooled.vertices * [1, 1, 0]))[inside].max() > 0.5


def test_landmarks_hold_against_sliding(surfaces) -> None:
    vertices, faces, scan, scan_faces = surfaces
    target = prepare_target(scan, scan_faces)
    shift = np.array([0.6, 0.0, 0.0])
    start = vertices + shift
    truth = bump(vertices)
    chosen = np.array([20, 60, 90, 120, 150, 170], dtype=np.int64)
    carrier = np.array([np.flatnonzero((faces == v).any(1))[0] for v in chosen])
    corner = (faces[carrier] == chosen[:, None]).astype(np.float64)
    marks = LandmarkTerm(carrier, corner, truth[chosen], np.full(len(chosen), 100.0))
    surface = ClosestPointTerm(target, np.ones(len(vertices)))
    inner = np.flatnonzero(((vertices[:, :2] > 2) & (vertices[:, :2] < [12, 10])).all(1))

    def slid(terms) -> float:
        moved = deform(start, faces, terms, SETTINGS).vertices
        return float(np.linalg.norm(moved - truth, axis=1)[inner].mean())

    assert slid([surface, marks]) < 0.5 * slid([surface])


def test_a_pliant_region_bends_more(surfaces) -> None:
    vertices, faces, scan, scan_faces = surfaces
    term = ClosestPointTerm(prepare_target(scan, scan_faces), np.ones(len(vertices)))
    stiff = NonRigidSettings(stages=(Stage(stiffness=0.3, iterations=3),), unit=10.0, solver="multigrid")
    hill = np.hypot(*(vertices[:, :2] - [7.0, 6.0]).T) < 3.5

    def misfit(pliancy) -> float:
        moved = deform(vertices, faces, [term], stiff, pliancy=pliancy).vertices
        return float(match(term.target, moved, normals_of(moved, faces)).distance[hill].mean())

    assert misfit(np.where(hill, 0.01, 1.0)) < 0.7 * misfit(None)
