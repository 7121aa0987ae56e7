"""The regions of our base head, carried over to any scan by its landmarks."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from scipy.interpolate import RBFInterpolator

from facewright.evaluation.alignment import align_landmarks, moved
from facewright.evaluation.geometry_metrics import kept_faces
from facewright.evaluation.landmarks import FaceLandmarks, landmarks_from_rows, shared_points
from facewright.geometry.nearest import closest_points, index_surface
from facewright.models.face_model import FaceModel

REACH = 25.0  # mm; scan points further from the warped base head belong to no region

# REALY's four regions, of the base head's masks; what a mask leaves over belongs to no region.
REALY_REGIONS: Mapping[str, tuple[str, ...]] = {
    "nose": ("nose",),
    "mouth": ("mouth", "lips"),
    "forehead": ("forehead", "brow_left", "brow_right", "eye_left", "eye_right"),
    "cheek": ("cheek_left", "cheek_right", "chin"),
}


@dataclass(frozen=True)
class RegionTemplate:
    """A face with named regions.

    Attributes:
        vertices: mm.
        faces: triangles of the skin only.
        landmarks: on the vertices.
        region: number of the region of each vertex in ``names``, -1 for none.
        names: of the regions.
    """

    vertices: Float[ndarray, "V 3"]
    faces: Int64[ndarray, "F 3"]
    landmarks: FaceLandmarks
    region: Int64[ndarray, " V"]
    names: tuple[str, ...]


def region_template(
    model: FaceModel, regions: Mapping[str, tuple[str, ...]] = REALY_REGIONS
) -> RegionTemplate:
    """The mean head of a model with its masks joined to regions; the first that names a vertex has it."""
    vertices = model.mean.double().numpy()
    region = np.full(len(vertices), -1, dtype=np.int64)
    for number, masks in reversed(list(enumerate(regions.values()))):
        for mask in masks:
            region[model.regions[mask].numpy()] = number
    points = model.landmark_points(model.mean, "ibug68").double().numpy()
    skin = model.parts["skin"].numpy()
    return RegionTemplate(
        vertices=vertices,
        faces=kept_faces(model.topology.faces.numpy(), skin),
        landmarks=landmarks_from_rows(points, "the base head"),
        region=region,
        names=tuple(regions),
    )


def scan_regions(
    template: RegionTemplate, points: Float[ndarray, "N 3"], landmarks: FaceLandmarks
) -> dict[str, Bool[ndarray, " N"]]:
    """Which points of a scan belong to which region.

    The template is aligned by the shared landmarks and warped so that they coincide; a point has the region
    of the nearest corner of its closest triangle.

    Raises:
        InputError: landmarks are missing or do not fit.
    """
    own, target = shared_points(template.landmarks, landmarks)
    alignment, _ = align_landmarks(own, target, with_scale=True)
    warped = warp_by_landmarks(moved(alignment, template.vertices), moved(alignment, own), target)
    found = closest_points(index_surface(warped, template.faces), points)
    corner = template.faces[found.triangle, found.barycentric.argmax(1)]
    region = np.where(found.distance <= REACH, template.region[corner], -1)
    return {name: region == number for number, name in enumerate(template.names)}


def warp_by_landmarks(
    points: Float[ndarray, "N 3"], source: Float[ndarray, "L 3"], target: Float[ndarray, "L 3"]
) -> Float[ndarray, "N 3"]:
    """Move points with the smoothest displacement that takes each source landmark onto its target.

    **Source:** biharmonic splines in 3D (kernel r). Far from landmarks their mean displacement is approached:
    an affine part would carry what moves the mouth on to the ears.
    """
    spline = RBFInterpolator(source, target - source, kernel="linear", degree=0)
    return points + spline(points)
