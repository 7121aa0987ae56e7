"""Identity shapes that keep the lips closed and the lids on the eyeballs: what touches moves together.

The statistics know faces as surfaces with errors of some tenths of a millimetre, which is as much as a lip
line or a lid margin may be off. So each shape's motion of one against the other is damped near the contact.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import sparse
from scipy.spatial import KDTree

LIPS_KEPT, LIDS_KEPT = 0.35, 0.3  # share of the motion against one another that stays
LIP_FALL, LID_FALL = 6.0, 9.0  # mm from the contact over which the correction fades
SMOOTHING = 2.5  # mm along the contact
LOWER_LIP = 0.5  # of the lower lip's motion with the jaw: skin that follows more belongs to it


@dataclasses.dataclass(frozen=True)
class Contact:
    """Points of two surfaces that touch, the way apart, and who is moved how far to mend it."""

    first: sparse.csr_matrix  # (C,S) points on the first surface
    second: sparse.csr_matrix  # (C,S) points on the second, which the first should follow
    apart: np.ndarray  # (C,3) unit
    spread: np.ndarray  # (S,C) share of a point's correction that a source vertex takes

    def damp(self, shapes: np.ndarray, kept: float) -> np.ndarray:
        """Shapes (K,S,3) with ``kept`` of the motion against one another."""
        rows = self.first - self.second
        result = shapes.copy()
        for number, shape in enumerate(shapes):
            off = ((rows @ shape) * self.apart).sum(1)
            result[number] -= (1.0 - kept) * self.spread @ (off[:, None] * self.apart)
        return result


def lip_contact(
    mean: np.ndarray, upper: sparse.csr_matrix, lower: sparse.csr_matrix, jaw: np.ndarray, skin: np.ndarray
) -> Contact:
    """The lower lip's margin against the upper's, both giving way by half.

    Args:
        mean: (S,3).
        upper: (C,S) points of the upper margin.
        lower: those below them.
        jaw: (S,3) the expression that opens the jaw.
        skin: (S,) bool: what may move, the mouth's lining included.
    """
    middle = np.asarray(0.5 * ((upper + lower) @ mean))
    follows = np.linalg.norm(jaw, axis=1) > LOWER_LIP * np.linalg.norm(lower @ jaw, axis=1).mean()
    side = np.where(follows, 0.5, -0.5)
    spread = side[:, None] * _spread(mean, middle, LIP_FALL) * skin[:, None]
    return Contact(lower, upper, np.tile([0.0, 1.0, 0.0], (len(middle), 1)), spread)


def lid_contact(
    mean: np.ndarray, margin: sparse.csr_matrix, ball: np.ndarray, centre: np.ndarray, skin: np.ndarray
) -> Contact:
    """A lid margin against the eyeball under it; the lid gives way.

    Args:
        mean: (S,3).
        margin: (C,S) points of the lid margin.
        ball: (S,) bool, the eyeball.
        centre: (3,) of the eyeball.
        skin: (S,) bool: what may move, the socket's lining included.
    """
    points = margin @ mean
    outward = points - centre
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    index = np.flatnonzero(ball)
    direction = mean[index] - centre
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    distance, nearest = KDTree(direction).query(outward, k=3)
    weight = 1.0 / (distance + 1e-6)
    weight /= weight.sum(1, keepdims=True)
    rows = np.repeat(np.arange(len(points)), 3)
    under = sparse.csr_matrix(
        (weight.ravel(), (rows, index[nearest].ravel())), shape=(len(points), len(mean))
    )
    return Contact(margin, under, outward, _spread(mean, points, LID_FALL) * skin[:, None])


def _spread(mean: np.ndarray, points: np.ndarray, fall: float) -> np.ndarray:
    """(S,C) weights: of the nearest points, fading with the distance from them."""
    away = np.linalg.norm(mean[:, None] - points[None], axis=2)
    share = np.exp(-0.5 * (away / SMOOTHING) ** 2) + 1e-12
    near = np.exp(-((np.maximum(away.min(1) - 1.0, 0.0) / fall) ** 2))
    return near[:, None] * share / share.sum(1, keepdims=True)
