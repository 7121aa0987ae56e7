"""The gates of the base head: each function measures one promise."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from scipy.spatial import KDTree

from base_model.landmark_sets import LIP_PAIRS
from base_model.picture import CENTRE, take
from base_model.region_masks import LEFT_LID_MARGIN, RIGHT_LID_MARGIN
from base_model.scan_statistics import ScanModel
from base_model.surface_fit import LinearPoints, SurfaceFit, fit_surface, sample_surface
from facewright.models.face_model import FaceModel
from facewright.models.lip_seam import lip_seam

LID_REACH = 4.0  # mm: skin this near to an eyeball on the mean head can enter it
HEADS_AT_A_TIME = 100
SEAM_STEP = 2.0  # mm along the mouth
MOUTH_PIXELS, MOUTH_SPAN = 600, 75.0  # of a picture of the mouth, and mm that it shows
LEAST_GREEN = 0.25  # of the red, on skin
EYEBALLS = ("left_eye", "right_eye")
AIM = np.array([0.0, 16.0, 0.0])  # from where pictures aim up to the eyes, mm
WHOLE = ("jawLeft", "jawRight", "mouthLeft", "mouthRight")


def outer_eye_distance(model: FaceModel) -> float:
    """Distance of the outer eye corners on the mean, mm."""
    points = model.landmark_points(model.mean, "ibug68")
    return float((points[45] - points[36]).norm())


def mouth_opening(model: FaceModel, activation: float) -> float:
    """Distance of the lips' margins in the middle at that jawOpen, mm."""
    jaw = model.expression_basis[model.expression_names.index("jawOpen")]
    points = model.landmark_points(model.mean + activation * jaw, "dense478")
    return float((points[LIP_PAIRS[0][0]] - points[LIP_PAIRS[0][1]]).norm())


def nose_lead(model: FaceModel) -> float:
    """How far the foremost vertex lies from the nose tip landmark, mm."""
    tip = model.landmark_points(model.mean, "ibug68")[30]
    return float((model.mean[model.mean[:, 2].argmax()] - tip).norm())


def outward_share(model: FaceModel) -> float:
    """Share of the face's triangles that face forward, away from the head's middle."""
    corners = model.mean[model.topology.faces]
    normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    face = model.regions["face_tight"][model.topology.faces].all(1)
    away = corners.mean(1) - model.mean[model.regions["skin"]].mean(0)
    return float(((normal * away).sum(1) > 0)[face].float().mean())


def random_heads(model: FaceModel, count: int, seed: int) -> Iterator[np.ndarray]:
    """Neutral heads (n,V,3) with coefficients from N(0, 1), some at a time."""
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, count, HEADS_AT_A_TIME):
        size = min(HEADS_AT_A_TIME, count - start)
        yield model.vertices(torch.randn(size, model.identity_count, generator=generator)).numpy()


def lip_crossing(model: FaceModel, heads: np.ndarray) -> np.ndarray:
    """(n,) how deep the lips of neutral heads lie in one another at worst, mm; negative where open."""
    seam, faces = lip_seam(model), model.topology.faces.numpy()
    return np.array([-seam.gaps(head.astype(np.float64), faces).min() for head in heads])


def seam_width(model: FaceModel) -> float:
    """Widest place of the mean's closed mouth: where the lips of a part of it are nearest, mm."""
    seam = lip_seam(model)
    mean = model.mean.double().numpy()
    gap, along = seam.gaps(mean, model.topology.faces.numpy()), mean[seam.upper, 0]
    return float(max(gap[np.abs(along - place) < SEAM_STEP].min() for place in along))


def mouth_inside_seen(model: FaceModel, head: np.ndarray, parted: float = 0.0) -> float:
    """Area of the mouth's inside that a frontal view of a neutral head shows, mm2.

    ``parted`` opens the jaw first, by so much of ``jawOpen``: the gate's control.
    """
    faces = model.topology.faces.numpy()
    jaw = model.expression_basis[model.expression_names.index("jawOpen")].numpy()
    inside = model.regions["inner_mouth"].numpy().copy()
    for name in ("upper_teeth", "lower_teeth", "tongue"):
        inside |= model.parts[name].numpy()
    lips = model.landmark_points(torch.from_numpy(head), "dense478").numpy()[list(LIP_PAIRS[0])].mean(0)
    posed = head + parted * jaw - lips + np.array([0.0, *CENTRE[1:]])
    shot = take(posed, faces, np.zeros_like(head), size=MOUTH_PIXELS, span=MOUTH_SPAN)
    seen = inside[faces[shot.triangle]].any(axis=-1) & (shot.triangle >= 0)
    return float(seen.sum() * (MOUTH_SPAN / MOUTH_PIXELS) ** 2)


def lid_penetration(model: FaceModel, heads: np.ndarray) -> np.ndarray:
    """(n,2) deepest point inside the left and right eyeball of lid skin that is seen from the front, mm.

    The lids' lining, which nobody sees, hugs the ball and may enter it.
    """
    result = []
    for head in heads:
        lids = np.flatnonzero((model.regions["eye_left"] | model.regions["eye_right"]).numpy())
        skin = np.intersect1d(lids, _seen_vertices(model, head))
        skin = skin[model.regions["skin"].numpy()[skin]]
        depths = []
        for side, name in enumerate(EYEBALLS):
            ball = head[model.parts[name].numpy()]
            offset = model.eye_centers[side].numpy() - model.mean[model.parts[name]].mean(0).numpy()
            near = skin[KDTree(ball).query(head[skin])[0] < LID_REACH]
            depths.append(_depth_in_ball(head[near], ball, offset))
        result.append(depths)
    return np.array(result)


def lid_margin_penetration(model: FaceModel, heads: np.ndarray, forward: float = 0.0) -> np.ndarray:
    """(n,) deepest point of the open lids' margin inside an eyeball, mm.

    The margin is the dense landmarks' ring without the outer corner, behind which the ball turns away.
    ``forward`` moves the eyeballs out of the head first: the gate's control.
    """
    points = model.landmark_points(torch.from_numpy(heads), "dense478").numpy()
    result = []
    for head, marks in zip(heads, points, strict=True):
        depths = []
        for side, ring in enumerate((LEFT_LID_MARGIN, RIGHT_LID_MARGIN)):
            part = model.parts[EYEBALLS[side]]
            offset = model.eye_centers[side].numpy() - model.mean[part].mean(0).numpy()
            ball = head[part.numpy()] + np.array([0.0, 0.0, forward])
            depths.append(_depth_in_ball(marks[list(ring[2:-1])], ball, offset))
        result.append(max(depths))
    return np.array(result)


def _seen_vertices(model: FaceModel, head: np.ndarray) -> np.ndarray:
    """Corners of the skin triangles that a frontal view of the eyes shows when the eyeballs are away."""
    faces = model.topology.faces.numpy()
    faces = faces[model.parts["skin"].numpy()[faces].all(1)]
    shot = take(head - AIM, faces, np.zeros_like(head), size=500, span=120.0)
    return np.unique(faces[np.unique(shot.triangle[shot.triangle >= 0])])


def visible_eye(model: FaceModel, head: np.ndarray) -> int:
    """Pixels of eyeball in a frontal view."""
    faces = model.topology.faces.numpy()
    ball = (model.parts["left_eye"] | model.parts["right_eye"]).numpy()[faces].all(1)
    shot = take(head - AIM, faces, np.zeros_like(head), size=500, span=120.0)
    return int(ball[shot.triangle[shot.triangle >= 0]].sum())  # pyright: ignore[reportIndexIssue]


def _depth_in_ball(lid: np.ndarray, ball: np.ndarray, offset: np.ndarray) -> float:
    """The ball is star-shaped about its centre: compare radii along each lid point's direction."""
    if not len(lid):
        return 0.0
    centre = ball.mean(0) + offset
    radius = np.linalg.norm(ball - centre, axis=1)
    height = np.linalg.norm(lid - centre, axis=1)
    tree = KDTree((ball - centre) / radius[:, None])
    distance, nearest = tree.query((lid - centre) / height[:, None], k=3)
    weight = 1.0 / (distance + 1e-6)
    local = (radius[nearest] * weight).sum(1) / weight.sum(1)
    return float(np.maximum(local - height, 0.0).max())


def saturated_skin(model: FaceModel, tone: float, draws: int, seed: int) -> np.ndarray:
    """(draws,) True where a hundredth of the face's skin, of that tone, is pure red."""
    generator = torch.Generator().manual_seed(seed)
    colours = torch.randn(draws, model.diffuse_count, generator=generator)
    colours[:, 0] = tone
    skin = model.regions["face"] & model.regions["skin"] & ~model.regions["lips"]
    for side in ("left", "right"):
        skin &= ~model.regions[f"brow_{side}"] & ~model.regions[f"eye_{side}"]
    albedo = model.diffuse_albedo(colours)[:, skin]
    hue = albedo[..., 1] / albedo[..., 0].clamp(min=1e-3)
    return (hue.quantile(0.01, dim=1) < LEAST_GREEN).numpy()


def expression_reach(model: FaceModel) -> dict[str, tuple[float, float]]:
    """By name: largest displacement (mm), and the share of the motion on the side that the name says.

    A jaw or mouth that goes left moves both sides; there the share is of vertices that go that way.
    """
    result = {}
    size = model.expression_basis.norm(dim=2)
    left = model.mean[:, 0] > 0
    for name, move in zip(model.expression_names, size, strict=True):
        side = left if name.endswith("Left") else ~left if name.endswith("Right") else torch.ones_like(left)
        share = move[side].sum() / move.sum()
        if name in WHOLE:
            sideways = model.expression_basis[model.expression_names.index(name), move > 1.0, 0]
            share = ((sideways > 0) == name.endswith("Left")).float().mean()
        result[name] = (float(move.max()), float(share))
    return result


def scan_fit(model: FaceModel, scans: ScanModel, people: int, seed: int) -> np.ndarray:
    """(people,2) median and mean residual (mm, along the normal) of faces fitted to scanned people."""
    generator = np.random.default_rng(seed)
    points, landmarks, _ = _scan_points(model, generator)
    vertex = scan_landmark_vertices(model, scans)[_still(model)]
    result = []
    for _ in range(people):
        person = scans.person(generator.standard_normal(len(scans.modes)))
        surface = sample_surface(person, scans.faces)
        spread = np.ones(model.identity_count)
        fit = fit_surface(points, spread, surface, landmarks, person[vertex], prior=0.05)
        size = np.abs(fit.residual)
        result.append((np.median(size), size.mean()))
    return np.array(result)


def scan_landmark_vertices(model: FaceModel, scans: ScanModel) -> np.ndarray:
    """(478,) the scan model's vertices nearest to the dense landmarks of the fit to its neutral."""
    points, landmarks, marks = _scan_points(model, np.random.default_rng(0))
    fit = fit_surface(
        points,
        np.ones(model.identity_count),
        sample_surface(scans.neutral, scans.faces),
        landmarks,
        _spread_out(scans, landmarks),
    )
    placed = marks.at(fit.coefficients) @ fit.rotation.T + fit.shift
    skin = np.unique(scans.faces)
    return skin[KDTree(scans.neutral[skin]).query(placed)[1]]


def scan_mean_fit(model: FaceModel, scans: ScanModel, prior: float) -> SurfaceFit:
    """The scan model's neutral as an identity of the model; ``prior`` in mm^2."""
    points, landmarks, _ = _scan_points(model, np.random.default_rng(0))
    targets = scans.neutral[scan_landmark_vertices(model, scans)[_still(model)]]
    surface = sample_surface(scans.neutral, scans.faces)
    return fit_surface(points, np.ones(model.identity_count), surface, landmarks, targets, prior=prior)


def _still(model: FaceModel) -> np.ndarray:
    """Dense landmarks of the skin that do not slide."""
    return np.flatnonzero(~model.landmarks["dense478"].contour.numpy()[:468])


def _scan_points(
    model: FaceModel, generator: np.random.Generator
) -> tuple[LinearPoints, LinearPoints, LinearPoints]:
    """Of the model: points of the face, landmarks that do not slide, all dense landmarks."""
    face = np.flatnonzero(model.regions["face"].numpy())
    chosen = generator.choice(face, min(1800, len(face)), replace=False)
    marks, faces = model.landmarks["dense478"], model.topology.faces
    mean, basis = model.mean.numpy().astype(float), model.identity_basis.numpy().astype(float)

    def linear(points: np.ndarray, shapes: np.ndarray) -> LinearPoints:
        return LinearPoints(points, np.ascontiguousarray(shapes.reshape(len(shapes), -1).T))

    place = marks.on(model.mean, faces).numpy().astype(float)
    moves = marks.on(model.identity_basis, faces).numpy().astype(float)
    still = _still(model)
    return linear(mean[chosen], basis[:, chosen]), linear(place[still], moves[:, still]), linear(place, moves)


def _spread_out(scans: ScanModel, landmarks: LinearPoints) -> np.ndarray:
    """A start without a landmarker: put the nose tips together; both models face +Z with +Y up."""
    skin = scans.neutral[np.unique(scans.faces)]
    return landmarks.mean + skin[skin[:, 2].argmax()] - landmarks.mean[landmarks.mean[:, 2].argmax()]
