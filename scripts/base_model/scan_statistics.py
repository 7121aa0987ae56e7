"""What a model of real scans says about the raw coefficients: the ICT FaceKit identities, seen as surfaces.

Only coefficients leave this file. The ICT modes are independent with unit variance, so one fit of the neutral
and one linear fit of each mode give the mean and the covariance of the raw coefficients.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from base_model.landmarking import ReferenceLandmarker, collect, robust_mean
from base_model.raw_space import RawSpace
from base_model.surface_fit import LinearPoints, SurfaceFit, fit_surface, sample_surface

FACE_POLYGONS, FACE_VERTICES = 9230, 9409  # skin of face and neck; eyes, teeth, lashes follow
DRAWN_VERTICES = 24591  # lacrimal fluid, occlusion and lashes follow, which hide the eyes
EYEBALLS = ((21451, 23021), (23021, 24591))
CENTIMETRES = 10.0
REST_WEIGHT = 0.02
TANGENT_WEIGHT = 0.05  # our correspondence slides along the surface: there a mode tells little


@dataclasses.dataclass(frozen=True)
class ScanModel:
    """The ICT neutral and its identity modes, mm."""

    neutral: np.ndarray  # (V,3)
    modes: np.ndarray  # (100,V,3)
    faces: np.ndarray  # skin triangles
    drawn_faces: np.ndarray

    def person(self, coefficients: np.ndarray) -> np.ndarray:
        """(V,3) of one identity."""
        return self.neutral + np.tensordot(coefficients, self.modes, 1)


def read_scan_model(path: Path) -> ScanModel:
    """Read ``ict_facekit.npz``."""
    with np.load(path, allow_pickle=False) as stored:
        neutral, modes = stored["neutral"].astype(float), stored["identity"].astype(float)
        quads = stored["polygons"]

    def triangles(polygons: np.ndarray) -> np.ndarray:
        return np.concatenate([polygons[:, :3], polygons[polygons[:, 3] >= 0][:, [0, 2, 3]]])

    skin, drawn = triangles(quads[:FACE_POLYGONS]), triangles(quads)
    return ScanModel(
        CENTIMETRES * neutral,
        CENTIMETRES * modes,
        skin[skin.max(1) < FACE_VERTICES],
        drawn[drawn.max(1) < DRAWN_VERTICES],
    )


def scan_landmarks(scans: ScanModel, landmarker: ReferenceLandmarker, seed: int) -> np.ndarray:
    """(478,3) dense landmarks on the neutral."""
    centre = scans.neutral[:FACE_VERTICES].mean(0)
    neutral = scans.neutral - centre
    albedo = np.tile([0.50, 0.42, 0.38], (len(neutral), 1))
    albedo[FACE_VERTICES + 1839 :] = [0.25, 0.08, 0.07]
    for start, end in EYEBALLS:
        offset = neutral[start:end] - 0.5 * (neutral[start:end].max(0) + neutral[start:end].min(0))
        angle = np.arccos(offset[:, 2] / np.linalg.norm(offset, axis=1))
        albedo[start:end] = np.select([angle[:, None] < 0.16, angle[:, None] < 0.45], [0.01, 0.08], 0.7)
    generator = np.random.default_rng(seed)
    draws = 0.8 * generator.standard_normal((12, len(scans.modes)))
    heads = [scans.person(draw) - centre for draw in draws]
    return robust_mean(collect(heads, neutral, scans.drawn_faces, albedo, landmarker)) + centre


def transfer_modes(
    scans: ScanModel, points: LinearPoints, rest: LinearPoints, spread: np.ndarray, fit: SurfaceFit
) -> tuple[np.ndarray, np.ndarray]:
    """Raw coefficients of every mode (100,K), and the share of each mode's normal motion they miss.

    Args:
        scans: the model of scans.
        points: points of the face, where the scans are seen.
        rest: points of ears, skull and neck, which follow the face's stretch along each axis.
        spread: (K,) first guess of the coefficients' spread.
        fit: the fit of the neutral.
    """
    surface = sample_surface(scans.neutral, scans.faces)
    posed = points.at(fit.coefficients) @ fit.rotation.T + fit.shift
    distance, nearest = surface.tree.query(posed)
    near = distance < 3.0
    corners, weights = scans.faces[surface.triangle[nearest]], surface.weights[nearest]
    normal = surface.normals[nearest] @ fit.rotation
    moves = np.einsum("knci,nc->kni", scans.modes[:, corners], weights) @ fit.rotation
    design = _with_pose(points, fit.coefficients)[near]
    across = np.einsum("ni,nik->nk", normal[near], design)
    far = _with_pose(rest, fit.coefficients)
    stretched = _stretch(points.at(fit.coefficients)[near], moves[:, near], rest.at(fit.coefficients))
    share = np.sqrt(REST_WEIGHT * len(normal) / len(far))
    rows = [
        across,
        np.sqrt(TANGENT_WEIGHT) * design.reshape(-1, design.shape[2]),
        share * far.reshape(-1, far.shape[2]),
    ]
    rows = np.concatenate(rows)
    aim_across = np.einsum("kni,ni->kn", moves[:, near], normal[near])
    aims = [aim_across, np.sqrt(TANGENT_WEIGHT) * moves[:, near].reshape(len(moves), -1)]
    aims = np.concatenate([*aims, share * stretched.reshape(len(moves), -1)], axis=1)
    # A mode's displacement is a standard deviation of people: noise of 0.1 mm against the raw prior.
    pull = np.concatenate([np.full(6, 1e-9), 0.1**2 / spread**2])
    solution = np.linalg.solve(rows.T @ rows + np.diag(pull), rows.T @ aims.T).T
    missed = aim_across - solution @ across.T
    return solution[:, 6:], np.sqrt((missed**2).mean(1) / (aim_across**2).mean(1))


def _with_pose(points: LinearPoints, coefficients: np.ndarray) -> np.ndarray:
    """(N,3,6+K): how points answer to a small turn and shift (pose, not shape) and to the coefficients."""
    posed = points.at(coefficients)
    turn = np.stack([np.cross(axis, posed) for axis in np.eye(3)], axis=2)
    shift = np.tile(np.eye(3), (len(posed), 1, 1))
    return np.concatenate([turn, shift, points.basis.reshape(-1, 3, points.basis.shape[1])], axis=2)


def _stretch(face: np.ndarray, moves: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Displacements (100,N,3) of the rest: each axis follows the face's stretch and shift along it."""
    result = np.zeros((len(moves), *rest.shape))
    for axis in range(3):
        design = np.stack([face[:, axis], np.ones(len(face))], axis=1)
        line = np.linalg.lstsq(design, moves[..., axis].T, rcond=None)[0]
        result[..., axis] = (np.stack([rest[:, axis], np.ones(len(rest))], axis=1) @ line).T
    return result


def fit_neutral(
    scans: ScanModel, points: LinearPoints, space: RawSpace, landmarks: LinearPoints, targets: np.ndarray
) -> SurfaceFit:
    """The raw coefficients of the ICT neutral."""
    return fit_surface(points, space.spread, sample_surface(scans.neutral, scans.faces), landmarks, targets)
