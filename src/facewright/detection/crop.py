"""Square, roll-normalised crops: where they lie in a photo and how their pixels are read."""

import math

import numpy as np
from jaxtyping import Float
from numba import njit

CROP_MARGIN = 1.4  # side of the crop over the larger extent of the landmarks
_EYE_CORNERS = ((33, 133), (362, 263))  # subject's right (image left), subject's left
_MOUTH_CORNERS = (61, 291)


def frames_from_landmarks(points: Float[np.ndarray, "B 478 2"]) -> Float[np.ndarray, "B 4"]:
    """Crop frames (centre x, centre y, side in px, roll in radians) around dense landmarks in px.

    The roll turns with the eye line and with the line from the eyes to the mouth, so it stays defined in profile.
    """
    right, left = (points[:, list(pair)].mean(1) for pair in _EYE_CORNERS)
    down = points[:, list(_MOUTH_CORNERS)].mean(1) - 0.5 * (right + left)
    across = (left - right) + np.stack([down[:, 1], -down[:, 0]], -1)
    roll = np.arctan2(across[:, 1], across[:, 0])
    cos, sin = np.cos(roll)[:, None], np.sin(roll)[:, None]
    u = points[..., 0] * cos + points[..., 1] * sin
    v = -points[..., 0] * sin + points[..., 1] * cos
    middle_u, middle_v = 0.5 * (u.min(1) + u.max(1)), 0.5 * (v.min(1) + v.max(1))
    side = CROP_MARGIN * np.maximum(np.ptp(u, 1), np.ptp(v, 1))
    x = middle_u * cos[:, 0] - middle_v * sin[:, 0]
    y = middle_u * sin[:, 0] + middle_v * cos[:, 0]
    return np.stack([x, y, side, roll], -1).astype(points.dtype)


def photo_from_crop(
    points: Float[np.ndarray, "B N 2"], frames: Float[np.ndarray, "B 4"]
) -> Float[np.ndarray, "B N 2"]:
    """Crop units (0 to 1) to px of the photo."""
    cos, sin = np.cos(frames[:, 3:4]), np.sin(frames[:, 3:4])
    u, v = ((points[..., axis] - 0.5) * frames[:, 2:3] for axis in (0, 1))
    return np.stack([frames[:, 0:1] + u * cos - v * sin, frames[:, 1:2] + u * sin + v * cos], -1)


def crop_from_photo(
    points: Float[np.ndarray, "B N 2"], frames: Float[np.ndarray, "B 4"]
) -> Float[np.ndarray, "B N 2"]:
    """Px of the photo to crop units (0 to 1)."""
    cos, sin = np.cos(frames[:, 3:4]), np.sin(frames[:, 3:4])
    x, y = points[..., 0] - frames[:, 0:1], points[..., 1] - frames[:, 1:2]
    return np.stack([(x * cos + y * sin) / frames[:, 2:3], (-x * sin + y * cos) / frames[:, 2:3]], -1) + 0.5
