"""The three shipped landmark sets, derived from the dense one."""

from __future__ import annotations

import numpy as np

from base_model.landmarking import IRIS, OVAL, attach

# iBUG points 17-67 among the 478: brows, nose, eyes, lips.
IBUG_INNER = (
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),
    *(168, 197, 5, 4, 98, 97, 2, 326, 327),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
    *(78, 82, 13, 312, 308, 317, 14, 87),
)
# Upper and lower lip margin of the dense set, pairwise one above the other.
LIP_PAIRS = ((13, 14), (82, 87), (312, 317), (81, 178), (311, 402), (80, 88), (310, 318))
RIGHT_JAW = (127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152)
# iBUG 36, 39, 42, 45 (eye corners), 33 (nose), 48, 54 (mouth corners).
NOW_IN_IBUG = (36, 39, 42, 45, 33, 48, 54)


def landmark_sets(
    dense: np.ndarray, vertices: np.ndarray, faces: np.ndarray, face_part: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Triangle, weights, contour flag by set name.

    Args:
        dense: (478,3) points near the mean head's surface.
        vertices: (V,3) mean head.
        faces: (F,3).
        face_part: (F,) 0 skin in the open, 1 and 2 eyeballs, anything else never carries a landmark.
    """
    skin, ball = np.flatnonzero(face_part == 0), np.flatnonzero((face_part == 1) | (face_part == 2))
    points = np.concatenate([dense, _jaw(dense)])
    triangle, weights, _ = attach(points, vertices, faces[skin])
    triangle = skin[triangle]
    iris_triangle, iris_weights, _ = attach(dense[IRIS], vertices, faces[ball])
    triangle[IRIS], weights[IRIS] = ball[iris_triangle], iris_weights
    contour = np.zeros(len(points), dtype=bool)
    contour[list(OVAL)] = True
    contour[478:] = True
    contour[478 + 8] = False  # the chin's tip hardly slides
    ibug = np.array([*range(478, 495), *IBUG_INNER])
    index = {"dense478": np.arange(478), "ibug68": ibug, "now7": ibug[list(NOW_IN_IBUG)]}
    return {name: (triangle[i], weights[i], contour[i]) for name, i in index.items()}


def _jaw(dense: np.ndarray) -> np.ndarray:
    """(17,3) points at equal steps along the outline from eye level over the chin to eye level."""
    right = dense[list(RIGHT_JAW)]
    line = np.concatenate([right, right[-2::-1] * [-1.0, 1.0, 1.0]])
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    step = np.linspace(0.0, length[-1], 17)
    return np.stack([np.interp(step, length, line[:, k]) for k in range(3)], axis=1)
