"""Distances between surfaces, and the numbers that papers make of them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy import ndarray

from facewright.core.errors import InputError
from facewright.geometry.nearest import SurfaceIndex, closest_points


@dataclass(frozen=True)
class ErrorSummary:
    """What is told of a set of errors, in the unit of the errors.

    Attributes:
        count: number of errors.
        mean: arithmetic mean.
        median: half are smaller.
        std: population standard deviation, as the NoW benchmark has it.
        rms: root of the mean square.
        p95: 95 % are smaller.
    """

    count: int
    mean: float
    median: float
    std: float
    rms: float
    p95: float


def summarize(errors: Float[ndarray, " N"]) -> ErrorSummary:
    """Summarize errors.

    Raises:
        InputError: there are none, or one is not finite.
    """
    if len(errors) == 0 or not np.isfinite(errors).all():
        raise InputError(f"expected finite errors, got {len(errors)} of which some may be NaN or infinite.")
    values = errors.astype(np.float64)
    return ErrorSummary(
        count=len(values),
        mean=float(values.mean()),
        median=float(np.median(values)),
        std=float(values.std()),
        rms=float(np.sqrt((values**2).mean())),
        p95=float(np.quantile(values, 0.95)),
    )


def point_to_surface(surface: SurfaceIndex, points: Float[ndarray, "N 3"]) -> Float[ndarray, " N"]:
    """Exact distance of each point to the surface, in their unit: scan-to-mesh, or mesh-to-scan."""
    return closest_points(surface, points).distance


def point_to_plane(surface: SurfaceIndex, points: Float[ndarray, "N 3"]) -> Float[ndarray, " N"]:
    """Distance of each point to the plane of its closest triangle: sliding along the surface costs nothing.

    Smooth surfaces are meant: the plane is that of the triangle, not of an interpolated normal.
    """
    found = closest_points(surface, points)
    normals = triangle_normals(surface.vertices, surface.faces)[found.triangle]
    return np.abs(((points - found.points) * normals).sum(1))


def triangle_normals(vertices: Float[ndarray, "V 3"], faces: Int64[ndarray, "F 3"]) -> Float[ndarray, "F 3"]:
    """Unit normals, outward for CCW triangles; zero for a triangle without area."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return normals / np.where(length > 0, length, 1.0)


def chamfer_distance(
    a_to_b: Float[ndarray, " N"],
    b_to_a: Float[ndarray, " M"],
) -> float:
    """Mean over the point-to-surface distances of both directions.

    **Source:** FaceScape benchmark, ``compute_chamfer``: all distances pooled, not the mean of two means.
    """
    return float(np.concatenate([a_to_b, b_to_a]).mean())


def vertex_rmse(predicted: Float[ndarray, "V 3"], true: Float[ndarray, "V 3"]) -> float:
    """Root mean square distance of corresponding vertices."""
    return float(np.sqrt(((predicted - true) ** 2).sum(1).mean()))


def normalized_mean_error(
    predicted: Float[ndarray, "N D"], true: Float[ndarray, "N D"], normalizer: float
) -> float:
    """NME: mean distance of corresponding points, as a fraction of a length (100 x this is percent).

    Args:
        predicted: points or vertices, 2D or 3D.
        true: their counterparts.
        normalizer: outer interocular distance, or the root of the box's area, in the points' unit.

    Raises:
        InputError: the normalizer is not above zero.

    **Source:** FGNet (Zhu et al. 2022), eq. 19, with d the 3D outer interocular distance.
    """
    if not normalizer > 0:
        raise InputError(f"an error is normalized by a length above 0, got {normalizer}.")
    return float(np.linalg.norm(predicted - true, axis=1).mean() / normalizer)


def box_normalizer(points: Float[ndarray, "N 2"]) -> float:
    """Root of the area of the box around landmarks: the usual normalizer of AFLW2000-3D."""
    extent = points.max(0) - points.min(0)
    return float(np.sqrt(extent[0] * extent[1]))


def cumulative_errors(errors: Float[ndarray, " N"], thresholds: Float[ndarray, " T"]) -> Float[ndarray, " T"]:
    """CED: the fraction of errors that are at most each threshold."""
    return np.searchsorted(np.sort(errors), thresholds, side="right") / len(errors)


def area_under_ced(errors: Float[ndarray, " N"], limit: float) -> float:
    """Area under the CED from 0 to ``limit``, divided by ``limit``: 1 is perfect.

    Exact, not by sampling the curve: the area of a step function is ``mean(max(limit - error, 0))``.

    Raises:
        InputError: the limit is not above zero.
    """
    if not limit > 0:
        raise InputError(f"the area under a curve needs a limit above 0, got {limit}.")
    return float(np.clip(limit - errors, 0, None).mean() / limit)


def angles_between(a: Float[ndarray, "N 3"], b: Float[ndarray, "N 3"]) -> Float[ndarray, " N"]:
    """Angle (radians) between unit normals; accurate also near 0, where arccos is not."""
    return 2 * np.arctan2(np.linalg.norm(a - b, axis=1), np.linalg.norm(a + b, axis=1))


def kept_faces(faces: Int64[ndarray, "F 3"], keep: Bool[ndarray, " V"]) -> Int64[ndarray, "K 3"]:
    """Triangles whose three corners are kept."""
    return faces[keep[faces].all(1)]
