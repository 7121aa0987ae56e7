"""Photographs with points placed by hand, and which of the 478 landmarks each point is."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_OUTER_LIPS = (61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181)
_INNER_LIPS = (78, 82, 13, 312, 308, 317, 14, 87)
# Only points with a clear counterpart: corners and lids of the eyes, lips, nose tip and base.
IBUG_68 = {
    30: 4, 31: 98, 32: 97, 33: 2, 34: 326, 35: 327,
    36: 33, 37: 160, 38: 158, 39: 133, 40: 153, 41: 144,
    42: 362, 43: 385, 44: 387, 45: 263, 46: 373, 47: 380,
    **dict(zip(range(48, 60), _OUTER_LIPS, strict=True)),
    **dict(zip(range(60, 68), _INNER_LIPS, strict=True)),
}  # fmt: skip
WFLW_98 = {
    54: 4, 55: 98, 56: 97, 57: 2, 58: 326, 59: 327,
    60: 33, 62: 159, 64: 133, 66: 145, 68: 362, 70: 386, 72: 263, 74: 374,
    **dict(zip(range(76, 88), _OUTER_LIPS, strict=True)),
    **dict(zip(range(88, 96), _INNER_LIPS, strict=True)),
}  # fmt: skip
TABLES = {68: IBUG_68, 98: WFLW_98}
# Outer eye corners in each scheme, for the distance by which errors are divided.
OUTER_EYES = {68: (36, 45), 98: (60, 72)}


@dataclass(frozen=True)
class HandFace:
    """A face with hand-placed points: (P, 2) px (pixel corners), their landmark indices, its scale in px."""

    photo: Path
    points: np.ndarray
    landmarks: np.ndarray
    eye_distance: float


def load_hand_faces(photos: Path) -> list[HandFace]:
    """All annotated faces of ``gt_small_mix`` and ``dlib_faces`` whose scheme has a table."""
    faces = []
    for folder in ("gt_small_mix", "dlib_faces"):
        labels = json.loads((photos / folder / "landmarks.json").read_text())["landmarks"]
        for name, value in labels.items():
            shapes = value if folder == "dlib_faces" else [value]
            for shape in shapes:
                points = np.array(shape, np.float64) + 0.5  # 0-based pixel centres
                table = TABLES.get(len(points))
                if table is None:
                    continue
                left, right = OUTER_EYES[len(points)]
                faces.append(
                    HandFace(
                        photos / folder / name,
                        points[list(table)],
                        np.array(list(table.values())),
                        float(np.linalg.norm(points[left] - points[right])),
                    )
                )
    return faces
