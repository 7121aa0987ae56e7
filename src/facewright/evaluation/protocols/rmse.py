"""RMSE of the Sphere Face Model: vertex to vertex where the topology is one, else point to plane."""

from dataclasses import dataclass

import numpy as np

from facewright.evaluation.aligned import aligned_by_surface, start_by_landmarks
from facewright.evaluation.alignment import IcpSettings, moved
from facewright.evaluation.cropping import check_unit, now_sphere
from facewright.evaluation.protocols.dense import align_dense, reliable_rows, same_topology
from facewright.evaluation.records import FaceSample, Measurement, PointErrors


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
    start = start_by_landmarks(prediction, scan, with_scale=False)
    sphere, crop_notes = now_sphere(scan.landmarks, settings.crop_factor)
    found = aligned_by_surface(prediction, scan, start, sphere, IcpSettings(with_scale=False))
    part = PointErrors(found.rows, found.plane_distances())
    values, notes = {"landmark_rms": found.landmark_rms}, (*found.notes, *crop_notes)
    return Measurement({"point_to_plane": part}, "mm", found.alignment, values, notes)
