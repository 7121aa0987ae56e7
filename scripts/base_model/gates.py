"""The gates of the base head: each function measures one promise."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from scipy.spatial import cKDTree

from base_model.scan_statistics import ScanModel
from base_model.surface_fit import LinearPoints, fit_surface, sample_surface
from facewright.models.face_model import FaceModel

# Upper and lower lip margin of the dense set, pairwise one above the other.
LIP_PAIRS = ((13, 14), (82, 87), (312, 317), (81, 178), (311, 402), (80, 88), (310, 318))
LID_REACH = 4.0  # mm: skin this near to an eyeball on the mean head can enter it
HEADS_AT_A_TIME = 100


def outer_eye_distance(model: FaceModel) -> float:
    """Distance of the outer eye corners on the mean, mm."""
    points = model.landmark_points(model.mean, "ibug68")
    return float((points[45] - points[36]).norm())


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
    """(n,) how far the lower lip's margin rises above the upper's at worst, mm; negative where open."""
    points = model.landmark_points(torch.from_numpy(heads), "dense478").numpy()
    upper, lower = (points[:, [pair[k] for pair in LIP_PAIRS], 1] for k in (0, 1))
    return (lower - upper).max(1)


def lid_penetration(model: FaceModel, heads: np.ndarray) -> np.ndarray:
    """(n,2) deepest point of open skin inside the left and right eyeball, mm."""
    mean, deepest = model.mean.numpy(), []
    skin = (model.regions["eye_left"] | model.regions["eye_right"]).numpy()
    for side, name in enumerate(("left_eye", "right_eye")):
        ball = np.flatnonzero(model.parts[name].numpy())
        tree = cKDTree(mean[ball])
        near = np.flatnonzero(skin & (tree.query(mean)[0] < LID_REACH))
        deepest.append(
            _depth_in_ball(
                heads[:, near], heads[:, ball], model.eye_centers[side].numpy() - mean[ball].mean(0)
            )
        )
    return np.stack(deepest, axis=1)


def _depth_in_ball(lids: np.ndarray, balls: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """The ball is star-shaped about its centre: compare radii along each lid point's direction."""
    result = []
    for lid, ball in zip(lids, balls, strict=True):
        centre = ball.mean(0) + offset
        radius = np.linalg.norm(ball - centre, axis=1)
        direction = (ball - centre) / radius[:, None]
        height = np.linalg.norm(lid - centre, axis=1)
        distance, nearest = cKDTree(direction).query((lid - centre) / height[:, None], k=3)
        weight = 1.0 / (distance + 1e-6)
        local = (radius[nearest] * weight).sum(1) / weight.sum(1)
        result.append(float(np.maximum(local - height, 0.0).max()))
    return np.array(result)


def blink_gap(model: FaceModel, heads: np.ndarray) -> np.ndarray:
    """(n,2) opening left between the lids' middles, right and left eye, mm; negative: overlapping."""
    points = model.landmark_points(torch.from_numpy(heads), "dense478").numpy()
    return np.stack([points[:, 159, 1] - points[:, 145, 1], points[:, 386, 1] - points[:, 374, 1]], axis=1)


def expression_reach(model: FaceModel) -> dict[str, tuple[float, float]]:
    """By name: largest displacement (mm), and the share of the motion on the side that the name says."""
    result = {}
    size = model.expression_basis.norm(dim=2)
    left = model.mean[:, 0] > 0
    for name, move in zip(model.expression_names, size, strict=True):
        side = left if name.endswith("Left") else ~left if name.endswith("Right") else torch.ones_like(left)
        result[name] = (float(move.max()), float(move[side].sum() / move.sum()))
    return result


def scan_fit(model: FaceModel, scans: ScanModel, people: int, seed: int) -> np.ndarray:
    """(people,2) median and mean residual (mm, along the normal) of faces fitted to scanned people."""
    generator = np.random.default_rng(seed)
    face = np.flatnonzero(model.regions["face"].numpy())
    chosen = generator.choice(face, min(1800, len(face)), replace=False)
    mean, basis = model.mean.numpy().astype(float), model.identity_basis.numpy().astype(float)

    def linear(points: np.ndarray, shapes: np.ndarray) -> LinearPoints:
        return LinearPoints(points, np.ascontiguousarray(shapes.reshape(len(shapes), -1).T))

    marks = model.landmarks["dense478"]
    still = np.flatnonzero(~marks.contour.numpy()[:468])
    mark_shapes = marks.on(model.identity_basis, model.topology.faces).numpy()[:, still].astype(float)
    landmarks = linear(marks.on(model.mean, model.topology.faces).numpy()[still].astype(float), mark_shapes)
    points = linear(mean[chosen], basis[:, chosen])
    # The landmarks of a person: the vertices nearest to the neutral's fitted landmarks, moved along.
    first = fit_surface(
        points,
        np.ones(len(basis)),
        sample_surface(scans.neutral, scans.faces),
        landmarks,
        _spread_out(scans, landmarks),
    )
    placed = landmarks.at(first.coefficients) @ first.rotation.T + first.shift
    vertex = np.unique(scans.faces)[cKDTree(scans.neutral[np.unique(scans.faces)]).query(placed)[1]]
    result = []
    for _ in range(people):
        person = scans.person(generator.standard_normal(len(scans.modes)))
        surface = sample_surface(person, scans.faces)
        fit = fit_surface(points, np.ones(len(basis)), surface, landmarks, person[vertex], prior=0.05)
        size = np.abs(fit.residual)
        result.append((np.median(size), size.mean()))
    return np.array(result)


def _spread_out(scans: ScanModel, landmarks: LinearPoints) -> np.ndarray:
    """A start without a landmarker: put the nose tips together; both models face +Z with +Y up."""
    skin = scans.neutral[np.unique(scans.faces)]
    return landmarks.mean + skin[skin[:, 2].argmax()] - landmarks.mean[landmarks.mean[:, 2].argmax()]
