"""The point-to-plane protocol of Bai et al. on Bosphorus and BU-3DFE."""

from dataclasses import dataclass

from facewright.evaluation.aligned import aligned_by_surface, start_by_landmarks
from facewright.evaluation.alignment import IcpSettings
from facewright.evaluation.cropping import now_sphere
from facewright.evaluation.records import FaceSample, Measurement, PointErrors


@dataclass(frozen=True)
class BaiSettings:
    """**Source:** Bai et al. 2020 and 2021 (INORig), section 5.

    Attributes:
        crop_factor: times the mean of outer eye distance and nose length is the radius of the crop.
    """

    crop_factor: float = 1.4


def measure_bai(prediction: FaceSample, scan: FaceSample, settings: BaiSettings) -> Measurement:
    """Point-to-plane distance (mm) of the cropped scan's vertices to the prediction.

    Raises:
        InputError: landmarks or units do not fit.

    **Source:** rough alignment by landmarks, crop by landmarks, ICP, point-to-plane from scan vertices.
    **Differs:** the seven landmarks of NoW stand for the 8 of BU-3DFE and the 5 of Bosphorus; the papers do
    not print the crop, so it is NoW's; the scale is that of the landmarks, the ICP after it is rigid.
    """
    start = start_by_landmarks(prediction, scan, with_scale=True)
    sphere, crop_notes = now_sphere(scan.landmarks, settings.crop_factor)
    icp = IcpSettings(with_scale=False)
    found = aligned_by_surface(prediction, scan, start, sphere, icp)
    part = PointErrors(found.rows, found.plane_distances())
    values = {"scale": found.scale, "landmark_rms": found.landmark_rms}
    return Measurement({"face": part}, "mm", found.alignment, values, (*found.notes, *crop_notes))
