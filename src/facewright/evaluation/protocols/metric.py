"""Raw scans with hair and collars: 90 mm around the nose tip; far points count, but do not pull."""

from dataclasses import dataclass

from facewright.evaluation.alignment import IcpSettings, align_landmarks, align_surface, moved
from facewright.evaluation.cropping import Sphere, check_unit, enough, nose_tip, now_points
from facewright.evaluation.geometry_metrics import point_to_surface
from facewright.evaluation.records import FaceSample, Measurement, PointErrors
from facewright.geometry.nearest import index_surface


@dataclass(frozen=True)
class MetricSettings:
    """**Source:** our own protocol for raw scans, which the figures of README use.

    Attributes:
        radius: mm around the tip of the nose.
        trim: mm; scan points further from the head (hair, spikes) do not move the alignment, but they count.
    """

    radius: float = 90.0
    trim: float = 10.0


def measure_metric(prediction: FaceSample, scan: FaceSample, settings: MetricSettings) -> Measurement:
    """Distance (mm) of the scan's points to the prediction: "rigid" keeps its size, "similarity" fits one.

    Raises:
        InputError: landmarks or units do not fit.
    """
    check_unit(scan)
    check_unit(prediction)
    prediction.check_surface()
    own, target, notes = now_points(prediction.landmarks, scan.landmarks)
    tip, tip_notes = nose_tip(scan)
    rows = enough(Sphere(tip, settings.radius).inside(scan.vertices), scan.name)
    points = scan.vertices[rows]
    surface = index_surface(prediction.vertices, prediction.faces)
    parts, alignments, values = {}, [], {}
    for name, with_scale in (("rigid", False), ("similarity", True)):
        start, rms = align_landmarks(own, target, with_scale=with_scale)
        icp = IcpSettings(with_scale=with_scale, trim=settings.trim)
        alignment = align_surface(surface, points, start, icp)
        scale = float(alignment.scale[0])
        errors = point_to_surface(surface, moved(alignment.inverse(), points)) * scale
        parts[name] = PointErrors(rows, errors)
        alignments.append(alignment)
        values |= {f"{name}_landmark_rms": rms, f"{name}_scale": scale}
    return Measurement(parts, "mm", alignments[0], values, (*notes, *tip_notes))
