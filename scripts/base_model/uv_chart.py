"""The texture chart: the source's head chart upright, widened at the face, small parts beneath it."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from base_model.neck_seam import islands
from base_model.raw_space import mirror_map
from base_model.source import PARTS, RawHead

SKIN_FLOOR, MARGIN = 0.165, 0.005
# Where the features lie in the source chart's half width and height (from the neck up), how far they reach,
# and how densely what is far from them is packed relative to them.
FEATURES_ACROSS, FEATURES_UP = (0.0, 0.32), (0.45, 0.25)
PACKING = 0.12
# Left, bottom, width, height of the small parts' boxes.
BOXES = {
    "right_eye_front": (0.005, 0.01, 0.14, 0.14),
    "left_eye_front": (0.150, 0.01, 0.14, 0.14),
    "right_eye_back": (0.295, 0.01, 0.065, 0.065),
    "left_eye_back": (0.295, 0.085, 0.065, 0.065),
    "inner_mouth": (0.365, 0.01, 0.19, 0.14),
    "right_socket": (0.560, 0.01, 0.09, 0.14),
    "left_socket": (0.655, 0.01, 0.09, 0.14),
    "tongue": (0.750, 0.01, 0.07, 0.14),
    "upper_teeth": (0.825, 0.01, 0.17, 0.065),
    "lower_teeth": (0.825, 0.085, 0.17, 0.065),
}


def texture_chart(raw: RawHead) -> np.ndarray:
    """(T,2) new texture coordinates for the source's ``uv_quads``; skin symmetric about u = 0.5."""
    island = islands(raw)
    of_quad = island[raw.uv_quads[:, 0]]
    head = int(np.bincount(of_quad).argmax())
    uv = np.zeros_like(raw.uv)
    uv[island == head] = _upright(
        raw.uv[island == head], _vertex_of(raw)[island == head], mirror_map(raw.template)
    )
    for number in range(island.max() + 1):
        if number == head:
            continue
        quads = of_quad == number
        points = raw.template[np.unique(raw.quads[quads])]
        name = _name(int(raw.part[raw.quads[quads][0, 0]]), bool(raw.cavity[quads].all()), points, raw)
        uv[island == number] = _fitted(raw.uv[island == number], BOXES[name])
    return uv


def _vertex_of(raw: RawHead) -> np.ndarray:
    vertex = np.zeros(len(raw.uv), dtype=np.int64)
    vertex[raw.uv_quads] = raw.quads
    return vertex


def _upright(uv: np.ndarray, vertex: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """The head's chart lies on its side: its u runs down the face, its v from the subject's right to left."""
    across = uv[:, 1] - 0.5 * (uv[:, 1].min() + uv[:, 1].max())
    up = uv[:, 0].max() - uv[:, 0]
    half = np.abs(across).max()
    x = np.sign(across) * _denser(np.abs(across) / half, *FEATURES_ACROSS)
    y = _denser(up / up.max(), *FEATURES_UP)
    # Along the cut at the back a vertex has two places: the side tells which belongs to which.
    side = np.where(mirror[vertex] == vertex, np.sign(x) * (np.abs(x) > 0.02), 0.0)
    key, partner = np.stack([vertex, side], axis=1), np.stack([mirror[vertex], -side], axis=1)
    gap, pair = KDTree(key).query(partner)
    if gap.max() > 0 or not np.array_equal(pair[pair], np.arange(len(pair))):  # pyright: ignore[reportArgumentType, reportIndexIssue]
        raise ValueError("the source's head chart does not pair left with right")
    x, y = 0.5 * (x - x[pair]), 0.5 * (y + y[pair])
    top = 1.0 - MARGIN - SKIN_FLOOR
    return np.stack([0.5 + (0.5 - MARGIN) * x, SKIN_FLOOR + top * y], axis=1)


def _denser(position: np.ndarray, centre: float, reach: float) -> np.ndarray:
    """Map [0, 1] onto itself, smoothly; what lies within ``reach`` of ``centre`` gets most of it."""
    grid = np.linspace(0.0, 1.0, 2001)
    density = PACKING + (1.0 - PACKING) / (1.0 + (np.abs(grid - centre) / reach) ** 3)
    length = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return np.interp(position, grid, length / length[-1])


def _fitted(uv: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    low, high = uv.min(0), uv.max(0)
    scale = min(box[2] / (high[0] - low[0]), box[3] / (high[1] - low[1]))
    centre = np.array([box[0] + 0.5 * box[2], box[1] + 0.5 * box[3]])
    return centre + scale * (uv - 0.5 * (low + high))


def _name(part: int, cavity: bool, points: np.ndarray, raw: RawHead) -> str:
    side = "left" if points[:, 0].mean() > 0 else "right"
    if cavity:
        return "inner_mouth" if np.ptp(points[:, 0]) > 60.0 else f"{side}_socket"
    if part in (1, 2):
        ball = raw.template[raw.part == part]
        return f"{side}_eye_front" if points[:, 2].mean() > ball[:, 2].mean() else f"{side}_eye_back"
    return PARTS[part]
