"""RMSE of the Sphere Face Model: vertex to vertex where the topology is one, else point to plane."""

from dataclasses import dataclass

import numpy as np

from facewright.evaluation.alignment import IcpSettings, align_landmarks, align_surface, moved
from facewright.evaluation.cropping import check_unit, enough, now_points, now_sphere
from facewright.evaluation.geometry_metrics import point_to_plane
from facewright.evaluation.protocols.dense import align_dense, reliable_rows, same_topology
from facewright.evaluation.records import FaceSample, Measurement, PointErrors
from facewright.geometry.nearest import index_surface


@dataclass(frozen=True)
class RmseSettings:
    """**Source:** Sphere Face Model (2023), tables 1 to 3.

    Attributes:
        crop_factor: as in NoW.
    """

    crop_factor: float = 1.4


def measure_rmse(prediction: FaceSample, scan: FaceSample, settings: RmseSettings) -> Measurement:
    """Errors (mm) whose ``rms`` is the paper's RMSE; the part's name says which of the two kinds it is.

    Raises:
        InputError: landmarks or units do not fit.

    **Source:** vertex to vertex on models of one topology (tables 1 and 2), point to plane on the cropped
    face where topologies differ (table 3).
    **Differs:** a rigid alignment comes first, of the vertices or by landmarks and ICP; the crop is NoW's.
    """
    check_unit(scan)
    check_unit(prediction)
    prediction.check_surface()
    if same_topology(prediction, scan):
        rows = reliable_rows(scan, settings.crop_factor)
        alignment = align_dense(prediction, scan, rows, with_scale=False)
        apart = moved(alignment, prediction.vertices[rows]) - scan.vertices[rows]
        part = PointErrors(rows, np.linalg.norm(apart, axis=1))
        return Measurement({"vertex_to_vertex": part}, "mm", alignment)
    own, target, notes = now_points(prediction.landmarks, scan.landmarks)
    start, rms = align_landmarks(own, target, with_scale=False)
    sphere, crop_notes = now_sphere(scan.landmarks, settings.crop_factor)
    rows = enough(sphere.inside(scan.vertices), scan.name)
    points = scan.vertices[rows]
    surface = index_surface(prediction.vertices, prediction.faces)
    alignment = align_surface(surface, points, start, IcpSettings(with_scale=False))
    errors = point_to_plane(surface, moved(alignment.inverse(), points))
    values = {"landmark_rms": rms}
    part = PointErrors(rows, errors)
    return Measurement({"point_to_plane": part}, "mm", alignment, values, (*notes, *crop_notes))
