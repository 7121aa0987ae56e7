"""The point-to-plane protocol of Bai et al. on Bosphorus and BU-3DFE."""

from dataclasses import dataclass

from facewright.evaluation.alignment import IcpSettings, align_landmarks, align_surface, moved
from facewright.evaluation.cropping import check_unit, enough, now_points, now_sphere
from facewright.evaluation.geometry_metrics import point_to_plane
from facewright.evaluation.records import FaceSample, Measurement, PointErrors
from facewright.geometry.nearest import index_surface


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
    check_unit(scan)
    prediction.check_surface()
    own, target, notes = now_points(prediction.landmarks, scan.landmarks)
    start, rms = align_landmarks(own, target, with_scale=True)
    sphere, crop_notes = now_sphere(scan.landmarks, settings.crop_factor)
    rows = enough(sphere.inside(scan.vertices), scan.name)
    points = scan.vertices[rows]
    surface = index_surface(prediction.vertices, prediction.faces)
    alignment = align_surface(surface, points, start, IcpSettings(with_scale=False))
    scale = float(alignment.scale[0])
    errors = point_to_plane(surface, moved(alignment.inverse(), points)) * scale
    values = {"scale": scale, "landmark_rms": rms}
    return Measurement({"face": PointErrors(rows, errors)}, "mm", alignment, values, (*notes, *crop_notes))
