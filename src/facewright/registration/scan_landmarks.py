"""Landmarks on a scan without a photo: look at it from several sides, detect, project back, and agree."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor

from facewright.core.errors import NoFaceError, SeveralFacesError
from facewright.detection.points import OUTER_EYES
from facewright.detection.records import Landmarks
from facewright.geometry.alignment import Alignment, align_points
from facewright.models.face_model import FaceModel
from facewright.registration.records import ScanLandmarks
from facewright.registration.rigid import eye_distance_of
from facewright.registration.scan_views import ScanView, Viewer, looking, viewer_of
from facewright.registration.surface import ScanSurface

# Takes a picture (3, H, W), sRGB in [0, 1], and returns its faces, the main one first.
Finder = Callable[[Tensor], list[Landmarks]]

SEARCH_SIZE, LOOK_SIZE = 320, 448  # px of the pictures that search for a face, and of those that look at it
LOOKS = ((0.0, 0.0), (math.radians(25), 0.0), (-math.radians(25), 0.0))  # yaw and pitch
IRISES = 468  # from here on: they lie on the eyeball, which moves
MIN_FACING = 0.25  # cosine below which a landmark is seen too flatly to be placed
# mm that the landmarker is off at best along an axis, on a face of this eye distance
BASE_SIGMA, PLASTER_SIGMA, EYE_WIDTH = 1.0, 2.5, 90.0
MIN_SHARE = 0.5  # of the landmarks must be found
LEAST_RELIEF = 4.0  # mm; landmarks of faces lie 7 and more off a sphere, those on a ball 2 at most
HEAD_RADIUS = 100.0  # mm around the face that a picture shows
FURTHEST = 25.0  # mm; a landmark further from the mean face's was seen through a hole
RANSAC_OFF = 12.0  # mm; a first landmark that is further from the mean face's is not believed
# A second face: how sure the detector is, how large it is against the first, and how many radii away.
SURE, ALIKE, APART = 0.99, (0.6, 1.6), 1.2


@dataclass(frozen=True)
class FoundFace:
    """A face on a scan.

    Attributes:
        landmarks: in the scan's frame and unit; sigma in mm as if the eyes were as far apart as usual.
        eye_distance: of the outer eye corners, in the scan's unit.
        views: pictures that were taken.
        colored: whether the scan's own colours were looked at, or its bare shape.
    """

    landmarks: ScanLandmarks
    eye_distance: float
    views: int
    colored: bool


def plaster_bias(model: FaceModel, finder: Finder) -> Float[ndarray, "478 3"]:
    """How far off the landmarks of a face without colours are seen, found on the model's own mean head.

    The landmarker learned on photos; on plaster it draws mouth and eyes too small, on every face alike.

    Returns:
        Displacements in mm, head frame; 0 where a landmark was not seen.

    Raises:
        NoFaceError: the finder sees no face on the model.
    """
    faces = model.topology.faces.numpy()
    mean = model.mean.double().numpy()
    plaster = ScanSurface("the mean head", mean, faces, None, None, None, None, 0.0, ())
    found = find_face_on_scan(plaster, model, finder).landmarks
    bias = np.zeros((478, 3))
    bias[found.index] = found.points - _model_points(model)[found.index]
    return bias


def find_face_on_scan(
    surface: ScanSurface,
    model: FaceModel,
    finder: Finder,
    bias: Float[ndarray, "478 3"] | None = None,
) -> FoundFace:
    """Find the one face of a scan that may lie, stand or face anywhere.

    Args:
        surface: the scan in any frame and unit.
        model: whose landmarks are meant.
        finder: detector and landmarker.
        bias: from ``plaster_bias``; taken off the landmarks where the bare shape was looked at.

    Raises:
        NoFaceError: there is none.
        SeveralFacesError: there is more than one.
    """
    taken = 0
    for colored in (True, False) if surface.colored else (False,):
        viewer = viewer_of(surface, colored=colored)
        first, *more = groups = _search_directions()
        sights: list[_Sight] = []
        for directions in groups:
            new = _sights(viewer, surface, directions, finder, model)
            taken, sights = taken + len(directions), sights + new
            if not new:
                continue
            best = max(new, key=lambda sight: sight.confidence)
            looked = _agreed(viewer, best, model, finder)
            taken += len(LOOKS)
            if looked is None:
                continue
            if bias is not None and not colored:
                off = bias[looked.index] @ best.rotation * (best.radius / HEAD_RADIUS)
                looked = replace(looked, points=looked.points - off)
            distance = eye_distance_of(looked, model)
            if distance is None or relief(looked, distance, model) < LEAST_RELIEF:
                continue
            if directions is first:
                # Another face need not look the same way: no axis is left out.
                sights += _sights(viewer, surface, more[0], finder, model)
                taken += len(more[0])
            _check_alone(viewer, looked, best.radius, sights, model, finder, surface.name)
            return FoundFace(looked, distance, taken, colored)
    raise NoFaceError(
        f"no face was found on {surface.name} in {taken} views of it: expected a scan of a face that is not "
        "too coarse; give landmarks with --landmarks."
    )


def _extent(vertices: ndarray) -> tuple[ndarray, float]:
    """Middle and radius of what to look at; a few points far away do not count."""
    low, high = np.percentile(vertices, [1, 99], axis=0)
    return (low + high) / 2, float(np.linalg.norm(high - low)) / 2


def _search_directions() -> list[list[ndarray]]:
    """Groups of views: where faces usually look, the other axes, and everything between."""
    ways = [np.array(way, dtype=np.float64) for way in product((-1, 0, 1), repeat=3) if any(way)]
    axes = [way for way in ways if abs(way).sum() == 1]
    first = [way for way in axes if way[2] == 1]

    def turn(back: ndarray) -> ndarray:
        # The detector takes any roll; only some up that is not along the view is needed.
        return looking(back, np.array([0.0, 1, 0]) if abs(back[1]) < 0.9 else np.array([0.0, 0, -1]))

    others = [way for way in axes if way[2] != 1]
    between = [way for way in ways if abs(way).sum() > 1]
    return [[turn(way) for way in group] for group in (first, others, between)]


@dataclass(frozen=True)
class _Sight:
    """A face as it was first seen: head_from_scan up to scale."""

    rotation: ndarray
    centre: ndarray
    radius: float
    confidence: float


def _sights(
    viewer: Viewer, surface: ScanSurface, directions: Sequence[ndarray], finder: Finder, model: FaceModel
) -> list[_Sight]:
    """The faces in views from some directions, placed on the scan."""
    middle, radius = _extent(surface.vertices)
    sights: list[_Sight] = []
    for turn in directions:
        view = viewer.look(turn, middle, radius, SEARCH_SIZE)
        placed = (_placed(viewer, view, face, model) for face in finder(view.picture)[:3])
        sights += [sight for sight in placed if sight is not None]
    return sights


def _check_alone(
    viewer: Viewer,
    face: ScanLandmarks,
    radius: float,
    sights: Sequence[_Sight],
    model: FaceModel,
    finder: Finder,
    name: str,
) -> None:
    """Refuse a scan on which a sure sight away from the face that was found holds in a closer look.

    Raises:
        SeveralFacesError: one does.
    """
    low, high = ALIKE
    centre = face.points.mean(0)
    for sight in sights:
        away = np.linalg.norm(sight.centre - centre) > APART * radius
        if sight.confidence <= SURE or not low < sight.radius / radius < high or not away:
            continue
        other = _agreed(viewer, sight, model, finder)
        apart = 0.0 if other is None else float(np.linalg.norm(other.points.mean(0) - centre))
        if apart > APART * radius:
            raise SeveralFacesError(
                f"more than one face was found on {name}, {apart:.3g} of its units apart: cut the scan so "
                "that one face is left, or give landmarks with --landmarks."
            )


def steady_landmarks(model: FaceModel) -> Int64[ndarray, " L"]:
    """Landmarks that mean the same surface point from every side."""
    steady = ~model.landmarks["dense478"].contour.numpy()
    steady[IRISES:] = False
    return np.flatnonzero(steady)


def relief(found: ScanLandmarks, eye_distance: float, model: FaceModel) -> float:
    """How far landmarks lie off the sphere that fits them best (RMS), mm of a head of mean size.

    The networks see faces in balls of plaster, and landmarks drawn on a ball are not far from a face's.

    Args:
        found: landmarks in the scan's unit.
        eye_distance: of the outer corners of the eyes, in this unit.
        model: whose landmarks are meant.
    """
    points = found.points - found.points.mean(0)
    rows = np.concatenate([2 * points, np.ones((len(points), 1))], axis=1)
    solved = np.linalg.lstsq(rows, (points**2).sum(1), rcond=None)[0]
    radius = np.sqrt(max(float(solved[3] + solved[:3] @ solved[:3]), 0.0))
    off = np.linalg.norm(points - solved[:3], axis=1) - radius
    left, right = _model_points(model)[list(OUTER_EYES)]
    return float(np.sqrt((off**2).mean()) * np.linalg.norm(left - right) / eye_distance)


def _model_points(model: FaceModel) -> ndarray:
    return model.landmark_points(model.mean, "dense478").double().numpy()


def _placed(viewer: Viewer, view: ScanView, face: Landmarks, model: FaceModel) -> _Sight | None:
    """Similarity of the model's landmarks to those of one view, with outliers dropped twice."""
    steady = steady_landmarks(model)
    points = viewer.places(view, face.points.double().numpy())[steady]
    template = _model_points(model)[steady]
    laid = _laid(points, template, RANSAC_OFF)
    if laid is None:
        return None
    fitted, scale = laid[0], float(laid[0].scale)
    centre = fitted.inverse().apply(torch.from_numpy(template.mean(0))[None, None])[0, 0].numpy()
    return _Sight(fitted.rotation[0].numpy(), centre, HEAD_RADIUS / scale, float(face.confidence))


def _laid(points: ndarray, template: ndarray, furthest: float) -> tuple[Alignment, ndarray] | None:
    """Similarity of points (NaN: not seen) to the template (mm), and which lie near it; None if few do."""
    finite: ndarray = np.asarray(np.isfinite(points).all(1))
    kept, fitted = finite, None
    for _ in range(3):
        if kept.mean() < MIN_SHARE:
            return None
        fitted = align_points(
            torch.from_numpy(points[kept])[None], torch.from_numpy(template[kept])[None], with_scale=True
        )
        moved = fitted.apply(torch.from_numpy(np.nan_to_num(points))[None])[0].numpy()
        kept = np.logical_and(finite, np.linalg.norm(moved - template, axis=1) < furthest)
    return (fitted, kept) if fitted is not None and kept.mean() >= MIN_SHARE else None


def _agreed(viewer: Viewer, sight: _Sight, model: FaceModel, finder: Finder) -> ScanLandmarks | None:
    """Look at the face from the front and both sides (``LOOKS``), and join what was seen."""
    steady = steady_landmarks(model)
    seen: list[ndarray] = []
    for yaw, pitch in LOOKS:
        turn = _turn(yaw, pitch)
        head_axes = sight.rotation  # rows: the head's axes in the scan's frame
        back, up = turn @ [0.0, 0, 1] @ head_axes, turn @ [0.0, 1, 0] @ head_axes
        view = viewer.look(looking(back, up), sight.centre, 1.25 * sight.radius, LOOK_SIZE)
        faces = finder(view.picture)
        if not faces:
            continue
        pixels = faces[0].points.double().numpy()[steady]
        points = viewer.places(view, pixels)
        normal = _facing(viewer, view, pixels)
        points[normal < MIN_FACING] = np.nan
        seen.append(points)
    if not seen:
        return None
    stack = np.stack(seen)
    count = np.isfinite(stack).all(2).sum(0)
    usable = count > 0
    points = np.full((len(steady), 3), np.nan)
    points[usable] = np.nanmedian(stack[:, usable], axis=0)
    spread = np.zeros(len(steady))
    spread[usable] = np.nanmean(np.linalg.norm(stack[:, usable] - points[usable], axis=2), axis=0)
    laid = _laid(points, _model_points(model)[steady], FURTHEST)
    if laid is None:
        return None
    usable = laid[1]
    index, told = steady[usable].astype(np.int64), f"detected in {len(seen)} of {len(LOOKS)} views"
    rough = ScanLandmarks(index, points[usable], np.ones(len(index)), told)
    width = eye_distance_of(rough, model)
    if not width:
        return None
    base = PLASTER_SIGMA if viewer.material.albedo is None else BASE_SIGMA
    sigma = np.hypot(base, spread / width * EYE_WIDTH) * np.where(count > 1, 1.0, 2.0)
    return replace(rough, sigma=sigma[usable])


def _turn(yaw: float, pitch: float) -> ndarray:
    """Rotation about +Y, after one about +X."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler("yx", [yaw, pitch]).as_matrix()


def _facing(viewer: Viewer, view: ScanView, pixels: ndarray) -> ndarray:
    """Cosine between the surface under some pixels and the line of sight; 0 where there is none."""
    size = view.camera.size[0]
    column, row = np.floor(pixels).astype(np.int64).clip(0, size - 1).T
    triangle = view.fragments.triangle[0, row, column].long().clamp_min(0)
    a, b, c = viewer.vertices[viewer.topology.faces[triangle]].unbind(1)
    normal = torch.linalg.cross(b - a, c - a)
    normal = normal / torch.linalg.vector_norm(normal, dim=1, keepdim=True).clamp_min(1e-30)
    toward = -torch.from_numpy(view.camera_from_scan[2].copy())
    return (normal @ toward).numpy()
