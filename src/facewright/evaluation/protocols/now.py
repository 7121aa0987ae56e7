"""The NoW benchmark: seven landmarks, crop, scan-to-mesh distance."""

from dataclasses import dataclass

from facewright.evaluation.alignment import IcpSettings, align_landmarks, align_surface, moved
from facewright.evaluation.cropping import check_unit, enough, now_points, now_sphere
from facewright.evaluation.geometry_metrics import point_to_surface
from facewright.evaluation.records import FaceSample, Measurement, PointErrors
from facewright.geometry.nearest import index_surface


@dataclass(frozen=True)
class NowSettings:
    """**Source:** Sanyal et al. 2019 and github.com/soubhiksanyal/now_evaluation.

    Attributes:
        with_scale: the non-metrical challenge; False is the metrical one, where the predicted size counts.
        crop_factor: times the mean of outer eye distance and nose length is the radius of the crop.
    """

    with_scale: bool = True
    crop_factor: float = 1.4


def measure_now(prediction: FaceSample, scan: FaceSample, settings: NowSettings) -> Measurement:
    """Distance (mm) of every cropped scan vertex to the predicted mesh.

    Raises:
        InputError: landmarks or units do not fit.

    **Source:** ``scan2mesh_computations.py``: Procrustes on seven landmarks, then rotation, translation and
    scale that minimize the squared scan-to-mesh distances of the cropped scan.
    **Differs:** no reflection is allowed in the Procrustes step ("best" allows one). The minimum is found by
    Levenberg-Marquardt on at most 30 000 evenly picked vertices; the errors are those of all of them.
    """
    check_unit(scan)
    prediction.check_surface()
    if not settings.with_scale:
        check_unit(prediction)
    own, target, notes = now_points(prediction.landmarks, scan.landmarks)
    start, rms = align_landmarks(own, target, with_scale=settings.with_scale)
    sphere, crop_notes = now_sphere(scan.landmarks, settings.crop_factor)
    rows = enough(sphere.inside(scan.vertices), scan.name)
    points = scan.vertices[rows]
    surface = index_surface(prediction.vertices, prediction.faces)
    alignment = align_surface(surface, points, start, IcpSettings(with_scale=settings.with_scale))
    scale = float(alignment.scale[0])
    errors = point_to_surface(surface, moved(alignment.inverse(), points)) * scale
    return Measurement(
        parts={"face": PointErrors(rows, errors)},
        unit="mm",
        alignment=alignment,
        values={"scale": scale, "landmark_rms": rms, "crop_radius": sphere.radius},
        notes=(*notes, *crop_notes),
    )
