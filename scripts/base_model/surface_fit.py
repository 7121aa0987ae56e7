"""Fit a linear shape space to a surface: point-to-plane ICP with landmarks and a Gaussian prior."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

# Sample points of a triangle, and its corners.
SAMPLES = np.array(
    [[1, 1, 1], [3, 1, 1], [1, 3, 1], [1, 1, 3], [5, 0, 0], [0, 5, 0], [0, 0, 5]], dtype=np.float64
)
SAMPLES /= SAMPLES.sum(1, keepdims=True)
LANDMARK_SCALE, SURFACE_SCALE = 3.0, 2.0  # mm: residuals beyond this count less and less
REACH = (15.0, 6.0)  # mm: farther points are not matched, at first and later
TURNS = np.eye(3)


@dataclasses.dataclass(frozen=True)
class Surface:
    """A triangle mesh to fit to, as samples with normals."""

    points: np.ndarray
    normals: np.ndarray
    tree: KDTree
    triangle: np.ndarray
    weights: np.ndarray


@dataclasses.dataclass(frozen=True)
class LinearPoints:
    """Points ``mean + (basis @ coefficients)``: (N,3) and (3N,K)."""

    mean: np.ndarray
    basis: np.ndarray

    def at(self, coefficients: np.ndarray) -> np.ndarray:
        """Positions (N,3)."""
        return self.mean + (self.basis @ coefficients).reshape(-1, 3)


@dataclasses.dataclass(frozen=True)
class SurfaceFit:
    """``posed = points @ rotation.T + shift``; residuals along the surface normal in mm."""

    coefficients: np.ndarray
    rotation: np.ndarray
    shift: np.ndarray
    residual: np.ndarray


def linear_points(matrix: np.ndarray, mean: np.ndarray, direction: np.ndarray) -> LinearPoints:
    """Rows of a (sparse) vertex matrix applied to a space: mean (S,3), direction (K,S,3)."""
    basis = np.stack([matrix @ shape for shape in direction]).reshape(len(direction), -1).T
    return LinearPoints(matrix @ mean, np.ascontiguousarray(basis))


def sample_surface(vertices: np.ndarray, faces: np.ndarray) -> Surface:
    """Sample every triangle at its corners and inside."""
    triangle, weights = np.tile(np.arange(len(faces)), len(SAMPLES)), np.repeat(SAMPLES, len(faces), axis=0)
    corners = vertices[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    points = (corners[triangle] * weights[..., None]).sum(1)
    return Surface(points, normal[triangle], KDTree(points), triangle, weights)


def fit_surface(
    points: LinearPoints,
    spread: np.ndarray,
    surface: Surface,
    landmarks: LinearPoints,
    targets: np.ndarray,
    *,
    prior: float = 1.0,
    rounds: int = 14,
) -> SurfaceFit:
    """Gauss-Newton on pose and coefficients.

    Args:
        points: the shape's points to lay on the surface.
        spread: (K,) prior standard deviations.
        surface: what to fit.
        landmarks: the shape's landmarks.
        targets: (L,3) where they should be.
        prior: weight of the prior at the end, mm^2; stronger at first.
        rounds: iterations.
    """
    coefficients = np.zeros(len(spread))
    rotation, shift = rigid_between(landmarks.mean, targets)
    residual = np.zeros(len(points.mean))
    for number in range(rounds):
        early = number < rounds // 3
        posed = points.at(coefficients) @ rotation.T + shift
        distance, nearest = surface.tree.query(posed)
        normal = surface.normals[nearest]
        residual = ((surface.points[nearest] - posed) * normal).sum(1)
        weight = (distance < REACH[0 if early else 1]) / (1.0 + (residual / SURFACE_SCALE) ** 2)
        turned = normal @ rotation
        jacobian = np.concatenate(
            [np.cross(posed, normal), normal, np.einsum("ni,nik->nk", turned, _split(points.basis))], axis=1
        )
        mark = landmarks.at(coefficients) @ rotation.T + shift
        off = targets - mark
        mark_jacobian = _mark_jacobian(mark, rotation, landmarks.basis)
        mark_weight = np.repeat(1.0 / (1.0 + (np.linalg.norm(off, axis=1) / LANDMARK_SCALE) ** 2), 3)
        mark_weight *= 1.0 if early else 0.1
        pull = np.concatenate([np.full(6, 1e-9), (10.0 if early else 1.0) * prior / spread**2])
        left = jacobian.T @ (jacobian * weight[:, None]) + mark_jacobian.T @ (
            mark_jacobian * mark_weight[:, None]
        )
        right = jacobian.T @ (weight * residual) + mark_jacobian.T @ (mark_weight * off.ravel())
        right[6:] -= pull[6:] * coefficients
        step = np.linalg.solve(left + np.diag(pull), right)
        turn = Rotation.from_rotvec(step[:3]).as_matrix()
        rotation, shift = turn @ rotation, turn @ shift + step[3:6]
        coefficients = coefficients + step[6:]
    return SurfaceFit(coefficients, rotation, shift, residual)


def rigid_between(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and shift that best take (N,3) points to others."""
    a, b = source.mean(0), target.mean(0)
    u, _, vt = np.linalg.svd((source - a).T @ (target - b))
    rotation = vt.T @ np.diag([1.0, 1.0, np.linalg.det(vt.T @ u.T)]) @ u.T
    return rotation, b - rotation @ a


def _split(basis: np.ndarray) -> np.ndarray:
    return basis.reshape(-1, 3, basis.shape[1])


def _mark_jacobian(mark: np.ndarray, rotation: np.ndarray, basis: np.ndarray) -> np.ndarray:
    turn = np.stack([np.cross(axis, mark) for axis in TURNS], axis=2)
    move = np.tile(np.eye(3), (len(mark), 1, 1))
    shape = np.matmul(rotation, _split(basis))
    return np.concatenate([turn, move, shape], axis=2).reshape(3 * len(mark), -1)
