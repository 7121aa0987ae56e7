"""Small pictures of heads: a z-buffer and Lambert shading, enough for landmarking and contact sheets."""

from __future__ import annotations

import dataclasses

import numba
import numpy as np


@dataclasses.dataclass(frozen=True)
class Shot:
    """What one picture shows and where on the mesh each pixel lies."""

    image: np.ndarray  # (H,W,3) uint8
    triangle: np.ndarray  # (H,W) -1 where empty
    barycentric: np.ndarray  # (H,W,3)


DISTANCE = 700.0  # mm
CENTRE = (0.0, -8.0, 0.0)  # mm, head frame: what the camera looks at


def take(
    vertices: np.ndarray,
    faces: np.ndarray,
    albedo: np.ndarray,
    *,
    yaw: float = 0.0,
    pitch: float = 0.0,
    size: int = 512,
    span: float = 300.0,
    light: tuple[float, float, float] = (0.25, 0.45, 0.85),
) -> Shot:
    """Photograph a head (mm, head frame) with a pinhole camera; ``span`` mm fill the picture at the head."""
    distance = DISTANCE
    posed = (vertices - np.asarray(CENTRE)) @ turned(yaw, pitch).T
    normal = vertex_normals(posed, faces)
    depth = distance - posed[:, 2]
    focal = size * distance / span
    pixels = np.stack(
        [size / 2 + focal * posed[:, 0] / depth, size / 2 - focal * posed[:, 1] / depth], axis=1
    )
    triangle, barycentric = _rasterize(pixels, depth, faces.astype(np.int64), size)
    seen = triangle >= 0
    corners, weights = faces[triangle[seen]], barycentric[seen][..., None]
    n = (normal[corners] * weights).sum(1)
    n /= np.linalg.norm(n, axis=1, keepdims=True) + 1e-9
    direction = np.asarray(light) / np.linalg.norm(light)
    shade = 0.35 + 0.75 * np.maximum(n @ direction, 0.0)
    linear = (albedo[corners] * weights).sum(1) * shade[:, None]
    image = np.full((size, size, 3), 118, dtype=np.uint8)
    image[seen] = (255.0 * np.clip(linear, 0, 1) ** (1 / 2.2)).astype(np.uint8)
    return Shot(image, triangle, barycentric)


def turned(yaw: float, pitch: float) -> np.ndarray:
    """(3,3) rotation of the head in front of the camera."""
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    c, s = np.cos(pitch), np.sin(pitch)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ turn


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V,3) unit normals, area weighted."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    normal = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normal, faces[:, k], face)
    return normal / (np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12)


def sheet(images: list[np.ndarray], columns: int) -> np.ndarray:
    """Tile pictures of one size row by row."""
    blank = np.zeros_like(images[0])
    rows = -(-len(images) // columns)
    images = images + [blank] * (rows * columns - len(images))
    return np.concatenate(
        [np.concatenate(images[r * columns : (r + 1) * columns], axis=1) for r in range(rows)]
    )


@numba.njit(cache=True, nogil=True)
def _rasterize(pixels, depth, faces, size):  # noqa: ANN001, ANN202
    near = np.full((size, size), np.inf)
    triangle = np.full((size, size), -1, np.int64)
    barycentric = np.zeros((size, size, 3))
    for f in range(len(faces)):
        a, b, c = faces[f]
        x0, y0, x1, y1, x2, y2 = (
            pixels[a, 0],
            pixels[a, 1],
            pixels[b, 0],
            pixels[b, 1],
            pixels[c, 0],
            pixels[c, 1],
        )
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area >= -1e-9:  # seen from behind (y points down)
            continue
        for row in range(max(0, int(min(y0, y1, y2) - 0.5)), min(size, int(max(y0, y1, y2) + 1.5))):
            for col in range(max(0, int(min(x0, x1, x2) - 0.5)), min(size, int(max(x0, x1, x2) + 1.5))):
                x, y = col + 0.5, row + 0.5
                w0 = ((x1 - x) * (y2 - y) - (x2 - x) * (y1 - y)) / area
                w1 = ((x2 - x) * (y0 - y) - (x0 - x) * (y2 - y)) / area
                w2 = 1.0 - w0 - w1
                if w0 < 0 or w1 < 0 or w2 < 0:
                    continue
                inverse = w0 / depth[a] + w1 / depth[b] + w2 / depth[c]
                if 1.0 / inverse < near[row, col]:
                    near[row, col] = 1.0 / inverse
                    triangle[row, col] = f
                    barycentric[row, col, 0] = w0 / depth[a] / inverse
                    barycentric[row, col, 1] = w1 / depth[b] / inverse
                    barycentric[row, col, 2] = w2 / depth[c] / inverse
    return triangle, barycentric
