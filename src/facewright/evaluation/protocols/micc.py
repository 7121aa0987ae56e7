"""The MICC Florence convention: 95 mm around the nose tip, ICP with scale, symmetric point-to-plane."""

from dataclasses import dataclass

import numpy as np

from facewright.evaluation.aligned import aligned_by_surface, start_by_landmarks
from facewright.evaluation.alignment import IcpSettings, moved
from facewright.evaluation.cropping import Sphere, border_triangles, enough, nose_tip, seen_from_front
from facewright.evaluation.geometry_metrics import kept_faces, triangle_normals
from facewright.evaluation.records import FaceSample, Measurement, PointErrors
from facewright.geometry.alignment import Alignment
from facewright.geometry.nearest import closest_points, index_surface


@dataclass(frozen=True)
class MiccSettings:
    """**Source:** Genova et al. 2018, section 5.2; Deng et al. 2022, section 4.

    Attributes:
        radius: mm around the tip of the nose.
        with_scale: ICP with an isotropic scale.
    """

    radius: float = 95.0
    with_scale: bool = True


def measure_micc(prediction: FaceSample, scan: FaceSample, settings: MiccSettings) -> Measurement:
    """Point-to-plane distance (mm), scan to mesh and mesh to scan; ``symmetric`` is the mean of both means.

    Raises:
        InputError: landmarks or units do not fit, or the scan is a point cloud.

    **Source:** crop to 95 mm, ICP with isotropic scale, symmetric point-to-plane distance.
    **Differs:** starts from landmarks, not from the axis of the capture. Of the mesh only what is seen from
    the front counts (no teeth), and not where its closest point lies on the border of the cropped scan.
    """
    scan.check_surface()
    start = start_by_landmarks(prediction, scan, with_scale=settings.with_scale)
    tip, tip_notes = nose_tip(scan)
    sphere = Sphere(tip, settings.radius)
    found = aligned_by_surface(prediction, scan, start, sphere, IcpSettings(with_scale=settings.with_scale))
    to_mesh = found.plane_distances()
    back = _mesh_to_scan(prediction, scan, found.alignment, sphere)
    return Measurement(
        parts={"scan_to_mesh": PointErrors(found.rows, to_mesh), "mesh_to_scan": back},
        unit="mm",
        alignment=found.alignment,
        values={
            "symmetric": float((to_mesh.mean() + back.error.mean()) / 2),
            "scale": found.scale,
            "landmark_rms": found.landmark_rms,
        },
        notes=(*found.notes, *tip_notes),
    )


def _mesh_to_scan(
    prediction: FaceSample, scan: FaceSample, alignment: Alignment, sphere: Sphere
) -> PointErrors:
    placed = moved(alignment, prediction.vertices)
    rows = enough(sphere.inside(placed) & seen_from_front(prediction), prediction.name)
    faces = kept_faces(scan.faces, sphere.inside(scan.vertices))
    surface = index_surface(scan.vertices, faces)
    found = closest_points(surface, placed[rows])
    normals = triangle_normals(surface.vertices, faces)[found.triangle]
    errors = np.abs(((placed[rows] - found.points) * normals).sum(1))
    inner = ~border_triangles(faces)[found.triangle]
    enough(inner, prediction.name)
    return PointErrors(rows[inner], errors[inner], "prediction")
