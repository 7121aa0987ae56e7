"""Named regions as vertex masks, drawn with landmark polygons on the mean head seen from the front."""

from __future__ import annotations

import numpy as np

from base_model.landmarking import OVAL

LIPS_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
RIGHT_LID_MARGIN = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_LID_MARGIN = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
RIGHT_ORBIT = (35, 31, 228, 229, 230, 231, 232, 233, 244, 189, 221, 222, 223, 224, 225, 113)
LEFT_ORBIT = (265, 261, 448, 449, 450, 451, 452, 453, 464, 413, 441, 442, 443, 444, 445, 342)
RIGHT_BROW = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
LEFT_BROW = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
NOSE = (168, 122, 196, 236, 198, 131, 129, 98, 97, 2, 326, 327, 358, 360, 420, 456, 419, 351)
RIGHT_CHEEK = (116, 117, 118, 101, 36, 206, 216, 212, 214, 192, 213, 147, 123)
LEFT_CHEEK = (345, 346, 347, 330, 266, 426, 436, 432, 434, 416, 433, 376, 352)
MOUTH_AREA = (2, 97, 203, 206, 216, 212, 202, 204, 194, 201, 200, 421, 418, 424, 422, 432, 436, 426, 423, 326)


def region_masks(
    mean: np.ndarray,
    normal: np.ndarray,
    points: np.ndarray,
    open_skin: np.ndarray,
    ear: np.ndarray,
    cavity: np.ndarray,
) -> dict[str, np.ndarray]:
    """Masks (V,) by name.

    Args:
        mean: (V,3) dense mean head.
        normal: (V,3) its normals.
        points: (478,3) dense landmarks on it.
        open_skin: (V,) skin that is not inside a cavity.
        ear: (V,) the ears.
        cavity: (V,) lining of the eye sockets and the mouth.
    """
    left = mean[:, 0] > 0
    front = open_skin & (normal[:, 2] > -0.35) & (mean[:, 2] > -20.0) & ~ear

    def inside(*rings: tuple[int, ...]) -> np.ndarray:
        hit = np.zeros(len(mean), dtype=bool)
        for ring in rings:
            hit |= in_polygon(mean[:, :2], points[list(ring), :2])
        return hit & front

    face = in_polygon(mean[:, :2], _grown(points[list(OVAL), :2], 1.01)) & front
    below = mean[:, 1] < np.interp(mean[:, 2], *_jaw_line(points))
    mouth_y = points[13, 1]
    masks = {
        "skin": open_skin,
        "face": face,
        "face_tight": in_polygon(mean[:, :2], _grown(points[list(OVAL), :2], 0.82)) & front,
        "eye_left": inside(LEFT_ORBIT),
        "eye_right": inside(RIGHT_ORBIT),
        "brow_left": inside(LEFT_BROW),
        "brow_right": inside(RIGHT_BROW),
        "nose": inside(NOSE),
        "lips": inside(LIPS_OUTER),
        "mouth": inside(MOUTH_AREA),
        "cheek_left": inside(LEFT_CHEEK),
        "cheek_right": inside(RIGHT_CHEEK),
        "ear_left": ear & left,
        "ear_right": ear & ~left,
        "neck": open_skin & ~face & ~ear & below,
        "scalp": open_skin & ~face & ~ear & ~below,
        "eye_sockets": cavity & (mean[:, 1] > 0.5 * (points[2, 1] + points[168, 1])),
        "inner_mouth": cavity & (mean[:, 1] < 0.5 * (points[2, 1] + points[168, 1])),
    }
    masks["mouth"] |= masks["lips"]
    masks["chin"] = (
        face & (mean[:, 1] < points[17, 1] - 4.0) & (np.abs(mean[:, 0]) < 0.75 * abs(points[61, 0]))
    )
    masks["forehead"] = face & (mean[:, 1] > points[105, 1]) & ~masks["brow_left"] & ~masks["brow_right"]
    masks["beard"] = (face | masks["neck"]) & (mean[:, 1] < mouth_y + 18.0) & ~masks["lips"] & ~masks["nose"]
    return masks


def in_polygon(points: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """(N,) bool by the crossing rule, for points (N,2) and a closed ring (R,2)."""
    hit = np.zeros(len(points), dtype=bool)
    x, y = points.T
    for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        hit ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return hit


def _grown(ring: np.ndarray, factor: float) -> np.ndarray:
    centre = ring.mean(0)
    return centre + factor * (ring - centre)


def _jaw_line(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Height of the border between head and neck against depth z: from the nape to under the chin."""
    z = [points[152, 2] - 220.0, points[58, 2] - 30.0, points[152, 2] - 15.0, points[152, 2] + 50.0]
    y = [points[132, 1] + 15.0, points[132, 1] - 12.0, points[152, 1] - 4.0, points[152, 1] - 6.0]
    return np.asarray(z), np.asarray(y)
