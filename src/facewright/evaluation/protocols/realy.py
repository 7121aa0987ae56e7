"""Errors by region, each region aligned for itself, in the manner of REALY."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray

from facewright.core.errors import InputError
from facewright.evaluation.aligned import start_by_landmarks
from facewright.evaluation.alignment import Anchors, IcpSettings, align_surface, moved
from facewright.evaluation.cropping import MIN_POINTS, front_rows, now_sphere, seen_from_front
from facewright.evaluation.geometry_metrics import kept_faces
from facewright.evaluation.landmarks import INNER_IN_IBUG68, FaceLandmarks
from facewright.evaluation.nonrigid import DeformationSettings, bend_to_scan, corresponding_points
from facewright.evaluation.records import FaceSample, Measurement, PointErrors
from facewright.evaluation.regions import RegionTemplate, scan_regions
from facewright.geometry.alignment import Alignment
from facewright.geometry.nearest import SurfaceIndex, index_surface

EYES = ("right_eye_outer", "right_eye_inner", "left_eye_inner", "left_eye_outer")
MOUTH = ("right_mouth_corner", "left_mouth_corner")
# Landmarks that hold each region, of iBUG's where both files have them (utils/util.py), else by name.
REGION_IBUG = {
    "nose": (*range(27, 36),),
    "mouth": (*range(48, 61), 64),
    "forehead": (*range(36, 48), *range(17, 27)),
    "cheek": (*range(48, 61), 64, 36, 41, 40, 39, 42, 47, 46, 45),
}
REGION_NAMES = {
    "nose": ("nose_base", "nose_tip"),
    "mouth": MOUTH,
    "forehead": EYES,
    "cheek": (*EYES, *MOUTH),
}
ANCHOR_WEIGHT = {"nose": 1.0, "mouth": 1.0, "forehead": 1.0, "cheek": 0.25}  # utils/rICP.py
MARGIN = 20.0  # mm around a region in which the prediction takes part


@dataclass(frozen=True)
class RealySettings:
    """**Source:** Chai et al. 2022 and github.com/czh-98/REALY.

    Attributes:
        crop_factor: as in NoW; the regions end where the crop ends.
        deformation: how the prediction is bent onto a region of the scan to find out which point is which.
    """

    crop_factor: float = 1.4
    deformation: DeformationSettings = field(default_factory=DeformationSettings)


def measure_realy(
    prediction: FaceSample, scan: FaceSample, settings: RealySettings, template: RegionTemplate
) -> Measurement:
    """Distance (mm) of each region's scan vertices to the corresponding points of the prediction.

    ``all`` among the values is the mean over the regions' means, as the benchmark ranks by.

    Raises:
        InputError: landmarks or units do not fit, or a region is not on the scan.

    **Source:** global similarity by seven landmarks; for each region a rigid ICP with its landmarks (as heavy
    as all its points, a quarter for the cheek); correspondence after a non-rigid step; mean distance.
    **Differs:** regions are those of our base head, carried over by landmarks and seen from the front, not
    cut by hand; the landmarks are the ones that both files have, not REALY's 85 and none on the contour; the
    prediction is bent to the scan, not the scan to the prediction, so memory does not grow with the scan.
    """
    start = start_by_landmarks(prediction, scan, with_scale=True)
    sphere, crop_notes = now_sphere(scan.landmarks, settings.crop_factor)
    rows = front_rows(scan, sphere)
    masks = scan_regions(template, scan.vertices[rows], scan.landmarks)
    faces = kept_faces(prediction.faces, seen_from_front(prediction))
    surface = index_surface(prediction.vertices, faces)
    parts, values = {}, {"scale": float(start.alignment.scale[0]), "landmark_rms": start.rms}
    for name, mask in masks.items():
        if mask.sum() < MIN_POINTS:
            raise InputError(f"{scan.name} shows only {int(mask.sum())} points of the region {name!r}.")
        chosen = rows[mask]
        points = scan.vertices[chosen]
        error = _region_error(name, prediction, scan, surface, points, start.alignment, settings)
        parts[name] = PointErrors(chosen, error)
    values["all"] = float(np.mean([part.error.mean() for part in parts.values()]))
    return Measurement(parts, "mm", start.alignment, values, (*start.notes, *crop_notes))


def _region_error(
    name: str,
    prediction: FaceSample,
    scan: FaceSample,
    surface: SurfaceIndex,
    points: Float[ndarray, "N 3"],
    start: Alignment,
    settings: RealySettings,
) -> Float[ndarray, " N"]:
    """Align one region for itself, find which point is which, and measure."""
    own, target = region_landmarks(name, prediction.landmarks, scan.landmarks)
    anchors = Anchors(own, target, ANCHOR_WEIGHT[name]) if len(own) else None
    alignment = align_surface(surface, points, start, IcpSettings(with_scale=False), anchors)
    placed = moved(alignment, prediction.vertices)
    faces = _faces_near(placed, surface.faces, points)
    own = moved(alignment, own)
    if len(own) < 3:  # a warp by one or two landmarks would only shift everything
        own, target = own[:0], target[:0]
    bent = bend_to_scan(placed, faces, points, own, target, settings.deformation)
    return np.linalg.norm(corresponding_points(placed, bent, faces, points) - points, axis=1)


def region_landmarks(
    name: str, first: FaceLandmarks, second: FaceLandmarks
) -> tuple[Float[ndarray, "L 3"], Float[ndarray, "L 3"]]:
    """The landmarks that hold a region, as far as both faces have them."""
    if first.inner51 is not None and second.inner51 is not None:
        chosen = np.array(REGION_IBUG[name]) - INNER_IN_IBUG68[0]
        return first.inner51[chosen], second.inner51[chosen]
    shared = [mark for mark in REGION_NAMES[name] if mark in first.named and mark in second.named]
    if not shared:
        return np.zeros((0, 3)), np.zeros((0, 3))
    return first.rows(shared), second.rows(shared)


def _faces_near(
    vertices: Float[ndarray, "V 3"], faces: Int64[ndarray, "F 3"], points: Float[ndarray, "N 3"]
) -> Int64[ndarray, "K 3"]:
    """Triangles in the box around the region: what is far away need not be bent."""
    low, high = points.min(0) - MARGIN, points.max(0) + MARGIN
    return kept_faces(faces, ((vertices >= low) & (vertices <= high)).all(1))
