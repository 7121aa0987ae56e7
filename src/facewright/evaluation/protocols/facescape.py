"""The FaceScape benchmark: chamfer distance, completeness and normal error of two cylindrical maps."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray

from facewright.core.errors import InputError
from facewright.evaluation.aligned import aligned_by_surface, start_by_landmarks
from facewright.evaluation.alignment import IcpSettings, moved
from facewright.evaluation.cropping import face_axes, now_sphere
from facewright.evaluation.geometry_metrics import (
    angles_between,
    chamfer_distance,
    point_to_surface,
    triangle_normals,
)
from facewright.evaluation.records import FaceSample, Measurement, PointErrors
from facewright.geometry.alignment import Alignment
from facewright.geometry.nearest import SurfaceIndex, index_surface
from facewright.render.rasterize import rasterize

SIDES = ("left", "right")
FAR = 10_000.0  # mm; depth of the cylinder's axis: the outermost surface is the nearest


@dataclass(frozen=True)
class FacescapeSettings:
    """**Source:** Zhu et al. 2021, section 6, and ``benchmark/code`` of github.com/zhuhao-nju/facescape.

    Attributes:
        pupil_distance: mm; all faces are scaled to it: (64.0 + 61.7) / 2.
        size: rows and columns of the maps.
        half_height: mm above and below the middle of the map.
        axis_depth: mm from the eyes back to the cylinder's axis.
        jump: mm; neighbours of a map further apart in depth are not connected.
        crop_factor: of the scan's part that aligns, as in NoW.
    """

    pupil_distance: float = 62.85
    size: int = 256
    half_height: float = 150.0
    axis_depth: float = 80.0
    jump: float = 15.0
    crop_factor: float = 1.4


@dataclass(frozen=True)
class CylinderMap:
    """What a viewer all around sees of a mesh.

    Attributes:
        seen: where the mesh is.
        points: mm, in the frame of the cylinder (x to the subject's left, y up, z out of the face).
        normals: of the triangles.
        vertex: the mesh vertex nearest to each point within its triangle.
    """

    seen: Bool[ndarray, "S S"]
    points: Float[ndarray, "S S 3"]
    normals: Float[ndarray, "S S 3"]
    vertex: Int64[ndarray, "S S"]


def measure_facescape(prediction: FaceSample, scan: FaceSample, settings: FacescapeSettings) -> Measurement:
    """Distances (mm at a pupil distance of 62.85 mm) where both maps show something, and two numbers beside.

    ``chamfer`` is the benchmark's CD (mm), ``completeness`` its CR (fraction of the scan's map that the
    prediction covers), ``normal_error`` its MNE (radians).

    Raises:
        InputError: landmarks or units do not fit, or the scan is a point cloud.

    **Differs:** the benchmark compares posed meshes in the camera's frame, after a shift in depth only; scan
    and prediction come without camera here, so landmarks and ICP with scale bring them together. The axis
    lies 80 mm behind the eyes, not in the mean of the vertices. Angles are those of the normals themselves:
    the code adds 1 to each component before it normalizes.
    """
    scan.check_surface()
    start = start_by_landmarks(prediction, scan, with_scale=True)
    sphere, crop_notes = now_sphere(scan.landmarks, settings.crop_factor)
    found = aligned_by_surface(prediction, scan, start, sphere, IcpSettings(with_scale=True))
    true, predicted = _maps(prediction, scan, found.alignment, settings)
    both = true.seen & predicted.seen
    if both.sum() < 100:
        raise InputError(f"{prediction.name} and {scan.name} do not cover the same part of the face.")
    grid = _grid_surface(true, both, settings.jump), _grid_surface(predicted, both, settings.jump)
    to_prediction = point_to_surface(grid[1], true.points[both])
    to_scan = point_to_surface(grid[0], predicted.points[both])
    values = {
        "chamfer": chamfer_distance(to_prediction, to_scan),
        "completeness": float(both.sum() / true.seen.sum()),
        "normal_error": float(angles_between(true.normals[both], predicted.normals[both]).mean()),
        "scale": found.scale,
        "landmark_rms": found.landmark_rms,
    }
    parts = {
        "scan_to_mesh": PointErrors(true.vertex[both], to_prediction),
        "mesh_to_scan": PointErrors(predicted.vertex[both], to_scan, "prediction"),
    }
    return Measurement(parts, "mm", found.alignment, values, (*found.notes, *crop_notes))


def _maps(
    prediction: FaceSample, scan: FaceSample, alignment: Alignment, settings: FacescapeSettings
) -> tuple[CylinderMap, CylinderMap]:
    """Maps of scan and prediction around one axis, scaled to the standard pupil distance."""
    marks = scan.landmarks
    pupils = [(marks.point(f"{side}_eye_outer") + marks.point(f"{side}_eye_inner")) / 2 for side in SIDES]
    factor = settings.pupil_distance / float(np.linalg.norm(pupils[0] - pupils[1]))
    axes = face_axes(marks)
    origin = (pupils[0] + pupils[1]) / 2 - settings.axis_depth / factor * axes[2]
    placed = moved(alignment, prediction.vertices)
    return tuple(
        cylinder_map(factor * (vertices - origin) @ axes.T, sample.faces, settings)
        for vertices, sample in ((scan.vertices, scan), (placed, prediction))
    )  # pyright: ignore[reportReturnType]


def cylinder_map(
    vertices: Float[ndarray, "V 3"], faces: Int64[ndarray, "F 3"], settings: FacescapeSettings
) -> CylinderMap:
    """Project a mesh outwards from the axis x = z = 0; the outermost surface is seen.

    Args:
        vertices: mm, in the frame of the cylinder.
        faces: triangles; those that meet the back seam are left out.
        settings: size of the map.
    """
    size = settings.size
    azimuth = np.arctan2(vertices[:, 0], vertices[:, 2])
    radius = np.hypot(vertices[:, 0], vertices[:, 2])
    pixels = np.stack(
        [
            (azimuth / (2 * np.pi) + 0.5) * size,
            (settings.half_height - vertices[:, 1]) / (2 * settings.half_height) * size,
            FAR - radius,
        ],
        axis=1,
    )
    whole = np.flatnonzero(np.ptp(azimuth[faces], axis=1) < np.pi)
    fragments = rasterize(
        torch.from_numpy(pixels)[None],
        torch.from_numpy(np.ascontiguousarray(faces[whole])),
        (size, size),
        perspective=False,
    )
    seen = fragments.covered[0].numpy()
    triangle = whole[np.maximum(fragments.triangle[0].numpy(), 0)]
    row, column = np.mgrid[:size, :size] + 0.5
    angle = (column / size - 0.5) * 2 * np.pi
    out = np.where(seen, FAR - fragments.depth[0].numpy(), 0.0)
    height = settings.half_height * (1 - 2 * row / size)
    points = np.stack([out * np.sin(angle), height, out * np.cos(angle)], axis=-1)
    corner = fragments.barycentric[0].numpy().argmax(-1)[..., None]
    vertex = np.take_along_axis(faces[triangle], corner, axis=-1)[..., 0]
    return CylinderMap(seen, points, triangle_normals(vertices, faces)[triangle], vertex)


def _grid_surface(shown: CylinderMap, mask: Bool[ndarray, "S S"], jump: float) -> SurfaceIndex:
    """The map as a mesh over the pixels of the mask, torn where it jumps."""
    size = len(mask)
    number = np.arange(size * size).reshape(size, size)
    a, b, c, d = number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]
    faces = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    radius = np.hypot(shown.points[..., 0], shown.points[..., 2]).ravel()
    kept = mask.ravel()[faces].all(1) & (np.ptp(radius[faces], axis=1) < jump)
    return index_surface(shown.points.reshape(-1, 3), faces[kept])
