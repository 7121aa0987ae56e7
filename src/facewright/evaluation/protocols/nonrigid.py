"""An estimate of the true, same-point error by non-rigid alignment, beside that of ICP."""

from dataclasses import dataclass, field

import numpy as np

from facewright.evaluation.aligned import aligned_by_surface, start_by_landmarks
from facewright.evaluation.alignment import IcpSettings, align_landmarks, composed, moved
from facewright.evaluation.cropping import now_sphere, seen_from_front
from facewright.evaluation.geometry_metrics import kept_faces, point_to_surface
from facewright.evaluation.landmarks import shared_points
from facewright.evaluation.nonrigid import DeformationSettings, bend_to_scan, corresponding_points
from facewright.evaluation.records import FaceSample, Measurement, PointErrors
from facewright.geometry.nearest import index_surface


@dataclass(frozen=True)
class NonrigidSettings:
    """**Source:** Sariyanidi et al. 2025 (M3DFB): closest points after ICP tell little of the true error.

    Attributes:
        crop_factor: as in NoW.
        deformation: how the prediction is bent onto the scan to find out which point is which.
    """

    crop_factor: float = 1.4
    deformation: DeformationSettings = field(default_factory=DeformationSettings)


def measure_nonrigid(prediction: FaceSample, scan: FaceSample, settings: NonrigidSettings) -> Measurement:
    """Errors (mm) of the cropped scan's vertices: to the corresponding point, and to the closest point.

    The more landmarks both files have, the better the correspondence: 68 or 478 if possible.

    Raises:
        InputError: landmarks or units do not fit.

    **Source:** M3DFB's recipe: rigid alignment, non-rigid alignment that is used for correspondence only,
    then the distance of the *rigidly* aligned points.
    **Differs:** our own deformation (see ``bend_to_scan``), and no topology correction; of the scan only what
    the front shows counts. The rigid alignment that counts is Procrustes on the corresponding points: by
    closest points alone a smooth face slides.
    """
    start = start_by_landmarks(prediction, scan, with_scale=True)
    sphere, crop_notes = now_sphere(scan.landmarks, settings.crop_factor)
    found = aligned_by_surface(prediction, scan, start, sphere, IcpSettings(with_scale=True), front_only=True)
    points, alignment = found.points, found.alignment
    placed = moved(alignment, prediction.vertices)
    faces = kept_faces(prediction.faces, seen_from_front(prediction))
    marks = shared_points(prediction.landmarks, scan.landmarks)
    bent = bend_to_scan(placed, faces, points, moved(alignment, marks[0]), marks[1], settings.deformation)
    counterpart = corresponding_points(placed, bent, faces, points)
    again, _ = align_landmarks(counterpart, points, with_scale=True, max_rms=np.inf)
    errors = np.linalg.norm(moved(again, counterpart) - points, axis=1)
    left = point_to_surface(index_surface(bent, faces), points)
    return Measurement(
        parts={
            "nonrigid": PointErrors(found.rows, errors),
            "icp": PointErrors(found.rows, found.distances()),
        },
        unit="mm",
        alignment=composed(again, alignment),
        values={
            "scale": found.scale,
            "landmark_rms": found.landmark_rms,
            "left_after_bending": float(left.mean()),
        },
        notes=(*found.notes, *crop_notes),
    )
