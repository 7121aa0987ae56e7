"""The NoW benchmark: seven landmarks, crop, scan-to-mesh distance."""

from dataclasses import dataclass

from facewright.evaluation.aligned import aligned_by_surface, start_by_landmarks
from facewright.evaluation.alignment import IcpSettings
from facewright.evaluation.cropping import now_sphere
from facewright.evaluation.records import FaceSample, Measurement, PointErrors


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
    start = start_by_landmarks(prediction, scan, with_scale=settings.with_scale)
    sphere, crop_notes = now_sphere(scan.landmarks, settings.crop_factor)
    found = aligned_by_surface(prediction, scan, start, sphere, IcpSettings(with_scale=settings.with_scale))
    return Measurement(
        parts={"face": PointErrors(found.rows, found.distances())},
        unit="mm",
        alignment=found.alignment,
        values={"scale": found.scale, "landmark_rms": found.landmark_rms, "crop_radius": sphere.radius},
        notes=(*found.notes, *crop_notes),
    )
