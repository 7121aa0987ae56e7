"""How finely each quad of the source is split: fine where faces are looked at, coarse on the scalp."""

from __future__ import annotations

import numpy as np

from base_model.raw_space import face_anchor
from base_model.source import PARTS, RawHead
from base_model.subdivision import AdaptiveMesh, refine, subdivide_where

CORE_EDGE, RIM_EDGE = 2.2, 3.4  # mm: a quad with a longer mean edge is split, twice as long: split twice
REST_EDGE = 3.0  # mm: ears, scalp and neck are split once, so that their outlines are round


def densify(raw: RawHead, uv: np.ndarray, uv_quads: np.ndarray, mean: np.ndarray) -> AdaptiveMesh:
    """Subdivide the source mesh adaptively; ``mean`` in the head frame, mm."""
    first = refine(raw.quads, len(mean), smooth=True)
    second = refine(first.children, first.matrix.shape[0], smooth=True)  # pyright: ignore[reportOptionalSubscript]
    uv_first = refine(uv_quads, len(uv), smooth=False)
    uv_second = refine(uv_first.children, uv_first.matrix.shape[0], smooth=False)  # pyright: ignore[reportOptionalSubscript]
    return subdivide_where([first, second], [uv_first, uv_second], quad_depth(raw, mean), mean)


def quad_depth(raw: RawHead, mean: np.ndarray) -> np.ndarray:
    """(Q,) 0, 1 or 2."""
    corners = mean[raw.quads]
    edge = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2).mean(1)
    centre = corners.mean(1)
    part = raw.part[raw.quads[:, 0]]
    eyes = mean[(raw.part == 1) | (raw.part == 2)].mean(0)
    face = face_anchor(raw, mean)[raw.quads].all(1)
    away = centre - (eyes - np.array([0.0, 28.0, 0.0]))
    core = (np.abs(away[:, 0]) < 52.0) & (np.abs(away[:, 1]) < 68.0)
    limit = np.where(core, CORE_EDGE, RIM_EDGE)
    rest = (part == 0) & ~raw.cavity & (edge > REST_EDGE)
    depth = np.where(face, (edge > limit).astype(int) + (edge > 2.0 * limit), rest)
    ball = np.isin(part, [PARTS.index("left_eye"), PARTS.index("right_eye")])
    depth[ball] = np.where(centre[ball, 2] > eyes[2], 2, 1)
    return depth
