"""Contour landmarks: where they may slide on the head, and where they are for a given pose.

A point of the face oval is not a fixed point of the skin: on the far side of a turned head it is where the
cheek ends in the image. Each contour landmark therefore has candidates on a line over the surface, from its
place on the frontal mean head inwards to the middle of the face; for a pose, the candidate that lies
furthest outwards in the image is taken. On the near side that is the landmark's own place.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor

from facewright.models.face_model import FaceModel, LandmarkSet

# How far inwards a contour landmark may slide, as a fraction of its distance to the middle of the face.
REACH = 0.5
STEPS = 8
# A candidate must lie this much further outwards (mm) than the landmark's own place to be taken.
HYSTERESIS = 0.5


@dataclass(frozen=True)
class ContourLines:
    """Candidates of the contour landmarks.

    Attributes:
        index: which landmarks of the set are contour landmarks, in the order of the ring around the face.
        candidates: ``C * S`` surface points, the S candidates of one landmark after the other; the first of
            each is the landmark's own place.
    """

    index: Int64[Tensor, " C"]
    candidates: LandmarkSet


def contour_lines(model: FaceModel, name: str) -> ContourLines:
    """Find the candidates of a landmark set's contour landmarks on the frontal mean head."""
    landmarks = model.landmarks[name]
    points = model.landmark_points(model.mean, name).double().cpu().numpy()
    contour = landmarks.contour.cpu().numpy()
    centre = points[~contour, :2].mean(0)
    ring = np.flatnonzero(contour)
    if len(ring) == 0:
        empty = LandmarkSet(landmarks.triangle[:0], landmarks.weights[:0], landmarks.contour[:0])
        return ContourLines(torch.zeros(0, dtype=torch.int64, device=model.device), empty)
    offset = points[ring, :2] - centre
    ring = ring[np.argsort(np.arctan2(offset[:, 1], offset[:, 0]))]
    fraction = np.linspace(0, REACH, STEPS)[:, None]
    queries = points[ring, None, :2] + fraction * (centre - points[ring, None, :2])
    triangle, weights = _front_surface(model, queries.reshape(-1, 2))
    triangle, weights = triangle.reshape(len(ring), STEPS), weights.reshape(len(ring), STEPS, 3)
    own = triangle[:, 0] * 0 + landmarks.triangle.cpu().numpy()[ring]
    triangle[:, 0], weights[:, 0] = own, landmarks.weights.cpu().numpy()[ring]
    for step in range(1, STEPS):  # where the ray met nothing, stay at the previous candidate
        missed = triangle[:, step] < 0
        triangle[missed, step], weights[missed, step] = triangle[missed, step - 1], weights[missed, step - 1]
    candidates = LandmarkSet(
        torch.from_numpy(triangle.reshape(-1)).to(model.device),
        torch.from_numpy(weights.reshape(-1, 3).astype(np.float32)).to(model.device),
        torch.ones(triangle.size, dtype=torch.bool, device=model.device),
    )
    return ContourLines(torch.from_numpy(ring).to(model.device), candidates)


def outward_normals(contour_px: Float[Tensor, "B C 2"]) -> Float[Tensor, "B C 2"]:
    """Unit normals, pointing away from the middle, of the closed ring of detected contour points."""
    tangent = contour_px.roll(-1, 1) - contour_px.roll(1, 1)
    normal = torch.stack([-tangent[..., 1], tangent[..., 0]], -1)
    normal = normal / normal.norm(dim=-1, keepdim=True).clamp_min(1e-9)
    outwards = contour_px - contour_px.mean(1, keepdim=True)
    return torch.where((normal * outwards).sum(-1, keepdim=True) < 0, -normal, normal)


def seen_candidates(
    candidates: Float[Tensor, "B CS 2"], outwards: Float[Tensor, "B C 2"], hysteresis: float = HYSTERESIS
) -> Int64[Tensor, "B C"]:
    """Which of all candidates is seen at the edge of the face in place of each contour landmark.

    Args:
        candidates: image positions in the order of ``ContourLines``, in a unit in which ``hysteresis`` is
            given: mm at the head by default.
        outwards: unit directions away from the face.
        hysteresis: a candidate must lie this much further outwards than the landmark's own place.

    Returns:
        Rows of the candidates.
    """
    ring = outwards.shape[1]
    if ring == 0:
        return torch.zeros(len(candidates), 0, dtype=torch.int64, device=candidates.device)
    steps = candidates.shape[1] // ring
    height = (candidates.unflatten(1, (ring, steps)) * outwards[:, :, None]).sum(-1)
    gain, best = height.max(-1)
    best = torch.where(gain > height[..., 0] + hysteresis, best, torch.zeros_like(best))
    return steps * torch.arange(ring, device=best.device) + best


def _front_surface(model: FaceModel, queries: ndarray) -> tuple[ndarray, ndarray]:
    """Foremost triangle of the skin under points (x, y) of the frontal mean head, -1 where there is none."""
    vertices = model.mean.double().cpu().numpy()
    faces = model.topology.faces.cpu().numpy()
    skin = model.parts.get("skin")
    if skin is not None:
        faces_kept = np.flatnonzero(skin.cpu().numpy()[faces].all(1))
    else:
        faces_kept = np.arange(len(faces))
    corners = vertices[faces[faces_kept]]
    low, high = corners[..., :2].min(1), corners[..., :2].max(1)
    row, hit = _box_hits(queries, low, high)
    query = queries[row]
    a, b, c = (corners[hit, k, :2] for k in range(3))
    area = _cross(b - a, c - a)
    inside = np.stack([_cross(b - query, c - query), _cross(c - query, a - query)], -1)
    inside = inside / np.where(area == 0, 1, area)[:, None]
    inside = np.concatenate([inside, 1 - inside.sum(1, keepdims=True)], 1)
    good = (inside >= -1e-9).all(1) & (area != 0)
    row, hit, inside = row[good], hit[good], inside[good]
    depth = (inside * corners[hit, :, 2]).sum(1)
    order = np.lexsort((-depth, row))
    found, first = np.unique(row[order], return_index=True)
    best = order[first]
    triangle, weights = np.full(len(queries), -1, dtype=np.int64), np.zeros((len(queries), 3))
    triangle[found], weights[found] = faces_kept[hit[best]], inside[best]
    return triangle, weights


def _box_hits(queries: ndarray, low: ndarray, high: ndarray) -> tuple[ndarray, ndarray]:
    """Pairs of a query and a box that holds it: looked for among the queries in the order of their x."""
    order = queries[:, 0].argsort()
    x = queries[order, 0]
    first, end = x.searchsorted(low[:, 0], "left"), x.searchsorted(high[:, 0], "right")
    box = np.repeat(np.arange(len(low)), end - first)
    within = np.arange(len(box)) - np.repeat((end - first).cumsum() - (end - first), end - first)
    query = order[first[box] + within]
    y = queries[query, 1]
    good = (low[box, 1] <= y) & (y <= high[box, 1])
    return query[good], box[good]


def _cross(a: ndarray, b: ndarray) -> ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
