"""Where the reference landmarker's 478 points lie on the surface, found on pictures of many random heads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.optimize import linear_sum_assignment

from base_model.picture import Shot, take

VIEWS = ((0.0, 0.0), (0.3, 0.05), (-0.3, 0.05), (0.0, -0.2))  # yaw, pitch
IRIS = np.arange(468, 478)  # right iris centre and ring, left iris centre and ring
# The outline of the face in MediaPipe's canonical mesh (FACEMESH_FACE_OVAL), from the top, clockwise.
OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)


class ReferenceLandmarker:
    """MediaPipe's face landmarker on arrays."""

    def __init__(self, model: Path) -> None:
        import mediapipe as mp  # pyright: ignore[reportMissingImports]
        from mediapipe.tasks.python import vision  # pyright: ignore[reportMissingImports]
        from mediapipe.tasks.python.core.base_options import BaseOptions  # pyright: ignore[reportMissingImports]

        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(model)), min_face_detection_confidence=0.3
        )
        self._image = lambda pixels: mp.Image(mp.ImageFormat.SRGB, np.ascontiguousarray(pixels))
        self._landmarker = vision.FaceLandmarker.create_from_options(options)

    def __call__(self, pixels: np.ndarray) -> np.ndarray | None:
        """(478,2) pixels, or None where no face is seen."""
        faces = self._landmarker.detect(self._image(pixels)).face_landmarks
        if not faces:
            return None
        return np.array([[p.x, p.y] for p in faces[0]]) * pixels.shape[1::-1]


def collect(
    heads: list[np.ndarray],
    mean: np.ndarray,
    faces: np.ndarray,
    albedo: np.ndarray,
    landmarker: ReferenceLandmarker,
) -> np.ndarray:
    """Votes (N,478,3) for each point's place on the mean head, NaN where it was hidden or off the head."""
    votes = []
    for number, head in enumerate(heads):
        for yaw, pitch in VIEWS:
            light = (0.8 * np.sin(number), 0.5, 0.8)
            shot = take(head, faces, albedo, yaw=yaw, pitch=pitch, size=512, span=270.0, light=light)
            points = landmarker(shot.image)
            if points is None:
                continue
            place = _surface(shot, points, mean, faces)
            side = np.sign(yaw)
            if side:
                # The far half is foreshortened, and the outline is only the outline in a frontal view.
                place[place[:, 0] * side > 8.0] = np.nan
                place[list(OVAL)] = np.nan
            votes.append(place)
    return np.stack(votes)


def robust_mean(votes: np.ndarray) -> np.ndarray:
    """(478,3) medians refined by the mean of the half of the votes nearest to them."""
    centre = np.nanmedian(votes, axis=0)
    distance = np.linalg.norm(votes - centre, axis=2)
    distance[np.isnan(distance)] = np.inf
    near = distance <= np.nanmedian(np.where(np.isinf(distance), np.nan, distance), axis=0)
    return np.nansum(np.where(near[..., None], votes, 0.0), axis=0) / near.sum(0)[:, None]


def symmetric_pairs(labels: Path) -> np.ndarray:
    """(478,) which point mirrors which, from the mean of real faces (open mouths tell the lips apart)."""
    with np.load(labels, allow_pickle=False) as stored:
        points = stored["landmarks"][::5].astype(np.float64) * [1.0, -1.0, -1.0]
        turn = stored["transform"][::5, :3, :3].astype(np.float64)
        jaw = stored["blendshapes"][::5, list(stored["blendshape_names"]).index("jawOpen")]
    turn /= np.cbrt(np.linalg.det(turn))[:, None, None]
    upright = np.matmul(points - points.mean(1, keepdims=True), turn)
    upright /= np.sqrt((upright**2).sum((1, 2), keepdims=True))
    mean = upright[jaw > np.median(jaw)].mean(0)
    mean[:, 0] -= mean[:, 0].mean()
    cost = np.linalg.norm(mean[:, None] - mean[None] * [-1.0, 1.0, 1.0], axis=2)
    pair = linear_sum_assignment(cost**2)[1]
    if not np.array_equal(pair[pair], np.arange(len(pair))):
        raise ValueError("the landmarks do not pair left with right")
    return pair


def symmetrise(points: np.ndarray, pair: np.ndarray) -> np.ndarray:
    """Mean of the points and their mirrored partners."""
    return 0.5 * (points + points[pair] * [-1.0, 1.0, 1.0])


def attach(
    points: np.ndarray, vertices: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest surface points: triangle (L,), barycentric weights (L,3), distance (L,)."""
    centre = vertices[faces].mean(1)
    triangle, weights, distance = [], [], []
    for point in points:
        near = np.argpartition(np.linalg.norm(centre - point, axis=1), 60)[:60]
        w = closest_weights(point, vertices[faces[near]])
        d = np.linalg.norm((w[..., None] * vertices[faces[near]]).sum(1) - point, axis=1)
        best = int(np.argmin(d))
        triangle.append(near[best])
        weights.append(w[best])
        distance.append(d[best])
    return np.array(triangle), np.array(weights), np.array(distance)


def surface_rows(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> sparse.csr_matrix:
    """(L,V) matrix that gives the surface points nearest to ``points`` from the vertices of any like mesh."""
    triangle, weights, _ = attach(points, vertices, faces)
    rows = np.repeat(np.arange(len(points)), 3)
    return sparse.csr_matrix(
        (weights.ravel(), (rows, faces[triangle].ravel())), shape=(len(points), len(vertices))
    )


def closest_weights(point: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Barycentric weights (N,3) of the point of each triangle (N,3,3) nearest to one point."""
    a, ab, ac = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    ap = point - a
    d00, d01, d11 = (ab * ab).sum(1), (ab * ac).sum(1), (ac * ac).sum(1)
    d20, d21 = (ap * ab).sum(1), (ap * ac).sum(1)
    det = d00 * d11 - d01**2 + 1e-30
    v, w = (d11 * d20 - d01 * d21) / det, (d00 * d21 - d01 * d20) / det
    inside = (v >= 0) & (w >= 0) & (v + w <= 1)
    candidates = [np.stack([1 - v - w, v, w], axis=1)]
    zero = np.zeros(len(v))
    t = np.clip(d20 / (d00 + 1e-30), 0, 1)
    candidates.append(np.stack([1 - t, t, zero], axis=1))
    t = np.clip(d21 / (d11 + 1e-30), 0, 1)
    candidates.append(np.stack([1 - t, zero, t], axis=1))
    bc, bp = ac - ab, ap - ab
    t = np.clip((bp * bc).sum(1) / ((bc * bc).sum(1) + 1e-30), 0, 1)
    candidates.append(np.stack([zero, 1 - t, t], axis=1))
    stack = np.stack(candidates)
    distance = np.linalg.norm((stack[..., None] * corners[None]).sum(2) - point, axis=2)
    distance[0, ~inside] = np.inf
    return stack[np.argmin(distance, axis=0), np.arange(len(v))]


def _surface(shot: Shot, points: np.ndarray, mean: np.ndarray, faces: np.ndarray) -> np.ndarray:
    size = len(shot.triangle)
    seen_row, seen_col = np.nonzero(shot.triangle >= 0)
    place = np.full((len(points), 3), np.nan)
    for k, (x, y) in enumerate(points):
        row, col = int(np.clip(y, 0, size - 1)), int(np.clip(x, 0, size - 1))
        if shot.triangle[row, col] < 0:  # just off the outline: take the nearest pixel of the head
            away = (seen_row + 0.5 - y) ** 2 + (seen_col + 0.5 - x) ** 2
            best = int(np.argmin(away))
            if away[best] > 12.0**2:
                continue
            row, col = int(seen_row[best]), int(seen_col[best])
        corners = faces[shot.triangle[row, col]]
        place[k] = shot.barycentric[row, col] @ mean[corners]
    return place
