"""Raw scans with hair and collars: 90 mm around the nose tip; far points count, but do not pull."""

from dataclasses import dataclass

from facewright.evaluation.aligned import aligned_by_surface, start_by_landmarks
from facewright.evaluation.alignment import IcpSettings
from facewright.evaluation.cropping import Sphere, nose_tip
from facewright.evaluation.records import FaceSample, Measurement, PointErrors


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
    starts = [start_by_landmarks(prediction, scan, with_scale=with_scale) for with_scale in (False, True)]
    tip, tip_notes = nose_tip(scan)
    face = Sphere(tip, settings.radius)
    rigid, similar = (
        aligned_by_surface(prediction, scan, start, face, IcpSettings(with_scale, trim=settings.trim))
        for start, with_scale in zip(starts, (False, True), strict=True)
    )
    parts, values = {}, {}
    for name, found in (("rigid", rigid), ("similarity", similar)):
        parts[name] = PointErrors(found.rows, found.distances())
        values |= {f"{name}_landmark_rms": found.landmark_rms, f"{name}_scale": found.scale}
    return Measurement(parts, "mm", rigid.alignment, values, (*rigid.notes, *tip_notes))
