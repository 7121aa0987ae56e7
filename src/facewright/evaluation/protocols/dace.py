"""DACE: distance of the predicted face to the raw scan, in percent of the outer interocular distance."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.spatial import KDTree

from facewright.evaluation.aligned import aligned_by_surface, start_by_landmarks
from facewright.evaluation.alignment import IcpSettings, moved
from facewright.evaluation.cropping import border_triangles, enough, now_sphere, seen_from_front
from facewright.evaluation.records import FaceSample, Measurement, PointErrors
from facewright.geometry.nearest import closest_points, index_surface


@dataclass(frozen=True)
class DaceSettings:
    """**Source:** FGNet (Zhu et al. 2022), eqs. 18 and 20.

    Attributes:
        crop_factor: as in NoW: which vertices of the prediction are face.
        reliable: mm; vertices further from the scan have no counterpart on it.
    """

    crop_factor: float = 1.4
    reliable: float = 20.0


def measure_dace(prediction: FaceSample, scan: FaceSample, settings: DaceSettings) -> Measurement:
    """Distance of the prediction's face vertices to the scan, in percent of the interocular distance.

    Raises:
        InputError: landmarks or units do not fit.

    **Source:** eq. 20, times 100: a least-squares similarity, then the nearest neighbour on the raw scan.
    **Differs:** the similarity is found by landmarks and ICP, which needs no registered template; distances
    are to the scan's surface (to its points for a point cloud). Reliable is what NoW's crop holds, the front
    shows and has a counterpart that is not the scan's border.
    """
    start = start_by_landmarks(prediction, scan, with_scale=True)
    sphere, crop_notes = now_sphere(scan.landmarks, settings.crop_factor)
    found = aligned_by_surface(prediction, scan, start, sphere, IcpSettings(with_scale=True))
    placed = moved(found.alignment, prediction.vertices)
    rows = enough(sphere.inside(placed) & seen_from_front(prediction), prediction.name)
    distance, inner = _to_scan(placed[rows], scan)
    kept = inner & (distance <= settings.reliable)
    enough(kept, prediction.name)
    apart = scan.landmarks.outer_interocular
    values = {"scale": found.scale, "landmark_rms": found.landmark_rms, "interocular": apart}
    part = PointErrors(rows[kept], 100 * distance[kept] / apart, "prediction")
    return Measurement({"face": part}, "%", found.alignment, values, (*found.notes, *crop_notes))


def _to_scan(
    points: Float[ndarray, "N 3"], scan: FaceSample
) -> tuple[Float[ndarray, " N"], Bool[ndarray, " N"]]:
    """Distance to the scan, and whether the closest point is inside of its border."""
    if len(scan.faces) == 0:
        distance = np.asarray(KDTree(scan.vertices).query(points)[0])
        return distance, np.ones(len(points), dtype=bool)
    found = closest_points(index_surface(scan.vertices, scan.faces), points)
    return found.distance, ~border_triangles(scan.faces)[found.triangle]
