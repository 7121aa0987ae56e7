"""Faces turned to large yaw by rotate-and-render, from a photograph and the teacher's points in space.

**Source:** Zhu et al., "Face Alignment Across Large Poses", 2016, section 5 (face profiling).
**Differs:** the face is the surface of the 478 points, the surround three rings of guessed depth.
"""

import itertools

import numpy as np
from scipy.spatial import Delaunay

from .landmark_batches import upright_shapes
from .photos import TURNED, PhotoSet
from .warp import render

FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
# Rings around the oval: outward factor, depth behind the oval in face widths (ear, back of the head, wall).
RINGS = ((1.10, 0.22), (1.35, 0.50), (3.0, 0.75))
MESH_POINTS = 468  # the ten iris points lie on the eyes' surface and would fold it
SIZE = 192


def face_triangles(landmarks: np.ndarray) -> np.ndarray:
    """Triangles (T, 3) over the 468 surface points and the rings that follow them."""
    mean = upright_shapes(landmarks).mean(0)[:MESH_POINTS, :2]
    inner = Delaunay(mean).simplices
    count, rings = len(FACE_OVAL), []
    bounds = [np.array(FACE_OVAL)]
    bounds += [MESH_POINTS + ring * count + np.arange(count) for ring in range(len(RINGS))]
    for near, far in itertools.pairwise(bounds):
        after_near, after_far = np.roll(near, -1), np.roll(far, -1)
        rings += [np.stack([near, after_near, far], 1), np.stack([after_near, after_far, far], 1)]
    return np.concatenate([inner, *rings])


def with_surround(points: np.ndarray) -> np.ndarray:
    """Surface points (478, 3) px -> (468 + rings, 3) px."""
    oval = points[list(FACE_OVAL)]
    centre = oval.mean(0)
    width = np.linalg.norm(points[234] - points[454])
    rings = []
    for outward, depth in RINGS:
        ring = oval.copy()
        ring[:, :2] = centre[:2] + (oval[:, :2] - centre[:2]) * outward
        # The wall is flat, the nearer rings follow the oval.
        ring[:, 2] = (centre[2] if outward > 2 else oval[:, 2]) + depth * width
        rings.append(ring)
    return np.concatenate([points[:MESH_POINTS], *rings])


def yaw_of(points: np.ndarray) -> np.ndarray:
    """Yaw in radians (N,), positive when the nose points to the image left."""
    across = points[:, 263] - points[:, 33]
    return np.arctan2(-across[:, 2], across[:, 0])


def rotation(yaw: float, pitch: float) -> np.ndarray:
    """Turn about the vertical image axis by ``yaw`` (as in ``yaw_of``), then nod by ``pitch``."""
    c, s, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    turn = np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
    nod = np.array([[1.0, 0.0, 0.0], [0.0, cp, -sp], [0.0, sp, cp]])
    return nod @ turn


def turn_face(
    photos: PhotoSet, index: int, triangles: np.ndarray, yaw: float, pitch: float, backdrop: int
) -> tuple[np.ndarray, np.ndarray]:
    """The face of one photo turned by ``yaw`` and ``pitch``: image (SIZE, SIZE) uint8, points (478, 3)."""
    points = photos.landmarks[index].astype(np.float64)
    source = with_surround(points)
    turn = rotation(yaw, pitch)
    pivot = points[list(FACE_OVAL)].mean(0)
    moved, mesh = (points - pivot) @ turn.T, (source - pivot) @ turn.T
    low, high = moved[:, :2].min(0), moved[:, :2].max(0)
    scale = SIZE / 1.75 / (high - low).max()
    shift = np.append(SIZE / 2 - scale * (low + high) / 2, 0.0)
    moved, mesh = moved * scale + shift, mesh * scale + shift
    # What no triangle covers shows another photo, so that no fixed colour betrays a turned face.
    other = photos.image(backdrop)
    rows = (np.arange(SIZE) * other.shape[0] // SIZE)[:, None]
    image = other[rows, np.arange(SIZE) * other.shape[1] // SIZE].astype(np.float32)
    depth = np.full((SIZE, SIZE), np.inf)
    height, width = photos.sizes[index]
    render(photos.pixels, photos.offsets[index], height, width, source, mesh, triangles, image, depth)
    return image.round().clip(0, 255).astype(np.uint8), moved.astype(np.float32)


def turn_faces(photos: PhotoSet, count: int, rng: np.random.Generator) -> PhotoSet:
    """``count`` faces of ``photos`` turned to 30-75 degrees, further to the side they already turn to."""
    triangles = face_triangles(photos.landmarks)
    start = yaw_of(photos.landmarks)
    candidates = np.flatnonzero(np.abs(start) < np.radians(35))
    pick = rng.choice(candidates, count, replace=count > len(candidates))
    backdrops = rng.integers(0, len(photos), count)
    images, points = [], []
    for index, backdrop in zip(pick, backdrops, strict=True):
        side = np.sign(start[index]) if abs(start[index]) > 0.1 else rng.choice([-1.0, 1.0])
        yaw = side * np.radians(rng.uniform(30, 75)) - start[index]
        image, shape = turn_face(photos, index, triangles, yaw, rng.normal(0, np.radians(8)), backdrop)
        images.append(image.ravel())
        points.append(shape)
    return PhotoSet(
        np.concatenate(images),
        np.arange(count, dtype=np.int64) * SIZE * SIZE,
        np.full((count, 2), SIZE, np.int64),
        np.stack(points),
        photos.expression[pick],
        np.zeros(count, bool),
        np.full(count, TURNED, np.int64),
    )
