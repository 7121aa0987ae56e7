"""Bring a prediction to its scan: by landmarks, then by its surface."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial.transform import Rotation

from facewright.core.errors import InputError
from facewright.evaluation.geometry_metrics import triangle_normals
from facewright.geometry.alignment import Alignment, align_points
from facewright.geometry.nearest import SurfaceIndex, closest_points

MAX_LANDMARK_RMS = 12.0  # mm; the worst reconstructions stay below, exchanged or mirrored landmarks do not
DAMPING_UP, DAMPING_DOWN, MAX_DAMPING = 10.0, 0.2, 1e6


@dataclass(frozen=True)
class IcpSettings:
    """How surfaces are aligned.

    Attributes:
        with_scale: estimate a scale too (similarity); otherwise only rotation and translation move.
        metric: what is made small: distances to the surface ("point"), or to its tangent planes ("plane").
        trim: mm; points further away count as this far and do not pull. None: all pull.
        steps: at most.
        tolerance: mm; stop when no point moves further.
        points: of the scan, evenly picked, that take part; the errors are taken at all points later.
    """

    with_scale: bool
    metric: Literal["point", "plane"] = "point"
    trim: float | None = None
    steps: int = 60
    tolerance: float = 1e-4
    points: int = 30_000


@dataclass(frozen=True)
class Anchors:
    """Pairs of landmarks that hold a surface alignment.

    Attributes:
        prediction: points in the frame of the prediction.
        scan: their counterparts on the scan.
        weight: of all anchors together, as a fraction of the weight of all scan points together.
    """

    prediction: Float[ndarray, "L 3"]
    scan: Float[ndarray, "L 3"]
    weight: float


def moved(alignment: Alignment, points: Float[ndarray, "N 3"]) -> Float[ndarray, "N 3"]:
    """Apply an alignment (B = 1) to points."""
    return alignment.apply(torch.from_numpy(points)[None])[0].numpy()


def align_landmarks(
    prediction: Float[ndarray, "L 3"],
    scan: Float[ndarray, "L 3"],
    *,
    with_scale: bool,
    max_rms: float = MAX_LANDMARK_RMS,
) -> tuple[Alignment, float]:
    """scan_from_prediction by landmarks, and how far they are apart after it (rms, mm).

    Raises:
        InputError: fewer than 3 pairs, they lie on a line, or they stay further apart than ``max_rms``: they
            do not name the same points, or lengths are in another unit.
    """
    if len(prediction) < 3:
        raise InputError(f"an alignment needs at least 3 shared landmarks, got {len(prediction)}.")
    for points in (prediction, scan):
        spread = np.linalg.svd(points - points.mean(0), compute_uv=False)
        if not spread[1] > 1e-3 * spread[0]:
            raise InputError("the landmarks lie on a line or in one place: no alignment follows from them.")
    pair = torch.from_numpy(prediction)[None], torch.from_numpy(scan)[None]
    alignment = align_points(*pair, with_scale=with_scale)
    rms = float(np.sqrt(((moved(alignment, prediction) - scan) ** 2).sum(1).mean()))
    if rms > max_rms:
        raise InputError(
            f"the landmarks of prediction and scan stay {rms:.1f} mm apart (rms): expected at most "
            f"{max_rms:.0f} mm; check their order, left and right, and the units of both files."
        )
    return alignment, rms


def align_surface(
    surface: SurfaceIndex,
    scan: Float[ndarray, "N 3"],
    start: Alignment,
    settings: IcpSettings,
    anchors: Anchors | None = None,
) -> Alignment:
    """Refine scan_from_prediction until the scan's points are as near to the predicted surface as can be.

    The distances that are made small are those in the frame and the mm of the scan, also where a scale is
    estimated: the prediction is what moves.

    Args:
        surface: the predicted mesh in its own frame.
        scan: points of the scan.
        start: from the landmarks.
        settings: rigid or similarity, and how far.
        anchors: landmarks that hold on.

    **Source:** Levenberg-Marquardt on closest points (Fitzgibbon 2003); same minimum as ICP, fewer steps.
    """
    points = scan[:: max(1, -(-len(scan) // settings.points))]
    normals = triangle_normals(surface.vertices, surface.faces)
    alignment, damping = start, 1e-3
    rows, cost = _rows(surface, normals, points, alignment, settings, anchors)
    for _ in range(settings.steps):
        step = _solve(*rows, damping, settings.with_scale)
        trial = composed(step, alignment)
        trial_rows, trial_cost = _rows(surface, normals, points, trial, settings, anchors)
        if trial_cost <= cost:
            movement = np.abs(moved(trial, moved(alignment.inverse(), points)) - points).max()
            alignment, rows, cost, damping = trial, trial_rows, trial_cost, damping * DAMPING_DOWN
            if movement < settings.tolerance:
                break
        else:
            damping *= DAMPING_UP
            if damping > MAX_DAMPING:
                break
    return alignment


def _rows(
    surface: SurfaceIndex,
    normals: ndarray,
    points: ndarray,
    alignment: Alignment,
    settings: IcpSettings,
    anchors: Anchors | None,
) -> tuple[tuple[ndarray, ndarray, ndarray, ndarray], float]:
    """Places on the moved prediction, directions, residuals and weights of all terms; and their cost."""
    scale = float(alignment.scale[0])
    found = closest_points(surface, moved(alignment.inverse(), points))
    places = moved(alignment, found.points)
    apart = points - places
    distance = found.distance * scale
    turned = normals[found.triangle] @ alignment.rotation[0].numpy().T
    if settings.metric == "plane":
        direction = turned
    else:  # towards the point; where it lies on the surface, across the surface
        near = distance < 1e-9
        direction = np.where(near[:, None], turned, apart / np.where(near, 1.0, distance)[:, None])
    residual = (apart * direction).sum(1)
    weights = np.full(len(points), 1.0 / len(points))
    squares = residual**2
    if settings.trim is not None:
        far = distance > settings.trim
        weights[far], squares[far] = 0.0, settings.trim**2
    cost = float(squares.mean())
    terms = [places], [direction], [residual], [weights]
    if anchors is not None and len(anchors.scan):
        own = moved(alignment, anchors.prediction)
        gap = anchors.scan - own
        share = anchors.weight / len(own)
        cost += float(share * (gap**2).sum())
        for axis in range(3):
            terms[0].append(own)
            terms[1].append(np.tile(np.eye(3)[axis], (len(own), 1)))
            terms[2].append(gap[:, axis])
            terms[3].append(np.full(len(own), share))
    return (
        np.concatenate(terms[0]),
        np.concatenate(terms[1]),
        np.concatenate(terms[2]),
        np.concatenate(terms[3]),
    ), cost


def _solve(
    places: ndarray,
    direction: ndarray,
    residual: ndarray,
    weights: ndarray,
    damping: float,
    with_scale: bool,
) -> Alignment:
    """The motion of the prediction that takes most of the residuals away."""
    centre = (weights[:, None] * places).sum(0) / max(weights.sum(), 1e-30)
    arms = places - centre
    columns = [np.cross(arms, direction), direction]
    if with_scale:
        columns.append((arms * direction).sum(1, keepdims=True))
    jacobian = np.concatenate(columns, axis=1)
    weighted = jacobian * weights[:, None]
    normal = weighted.T @ jacobian
    diagonal = np.diag(normal)
    normal = normal + np.diag(damping * np.maximum(diagonal, 1e-9 * diagonal.max(initial=1e-30)))
    update = np.linalg.solve(normal, weighted.T @ residual)
    rotation = Rotation.from_rotvec(update[:3]).as_matrix()
    scale = float(np.exp(update[6])) if with_scale else 1.0
    translation = centre + update[3:6] - scale * rotation @ centre
    return Alignment(
        torch.from_numpy(rotation)[None],
        torch.from_numpy(translation)[None],
        torch.tensor([scale], dtype=torch.float64),
    )


def composed(second: Alignment, first: Alignment) -> Alignment:
    """The motion that is first ``first``, then ``second``."""
    rotation = second.rotation @ first.rotation
    translation = second.apply(first.translation[:, None])[:, 0]
    return replace(first, rotation=rotation, translation=translation, scale=second.scale * first.scale)
