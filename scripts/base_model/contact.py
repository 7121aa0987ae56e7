"""Identity shapes that keep the lips closed and the lids on the eyeballs: what touches moves together.

The statistics know faces as surfaces with errors of some tenths of a millimetre, which is as much as a lip
line or a lid margin may be off. So each shape's motion of one against the other is damped near the contact;
lips, whose every gap is seen, do not part at all.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu
from scipy.spatial import KDTree

from base_model.source import RawHead

LIPS_KEPT, LIPS_SLIDE_KEPT, LIDS_KEPT = 0.0, 0.3, 0.3  # share of the motion against one another that stays
LIP_FALL, LID_FALL = 8.0, 9.0  # mm from the contact over which the correction fades
SMOOTHING = 2.5  # mm along the lids
HOLD, HOLD_FAR, HELD_FAST = 0.002, 0.1, 1e3  # of moving, at the lips, LIP_FALL from them, and elsewhere
SLACK = 3e-4  # of the lips' answer: pairs that lie close together need not agree to the last micrometre


@dataclasses.dataclass(frozen=True)
class Contact:
    """Points of two surfaces that touch, the way apart, and who is moved how far to mend it."""

    first: sparse.csr_matrix  # (C,S) points on the first surface
    second: sparse.csr_matrix  # (C,S) points on the second, which the first should follow
    apart: np.ndarray  # (C,3) unit
    spread: np.ndarray  # (S,C) share of a point's correction that a source vertex takes

    def damp(self, shapes: np.ndarray, kept: float, slide_kept: float = 1.0) -> np.ndarray:
        """Shapes (K,S,3) with ``kept`` of the motion apart and ``slide_kept`` of that along one another."""
        rows = self.first - self.second
        result = shapes.copy()
        for number, shape in enumerate(shapes):
            off = rows @ shape
            apart = (off * self.apart).sum(1, keepdims=True) * self.apart
            result[number] -= self.spread @ ((1.0 - kept) * apart + (1.0 - slide_kept) * (off - apart))
        return result


def lip_contact(
    raw: RawHead, mean: np.ndarray, upper: sparse.csr_matrix, lower: sparse.csr_matrix, apart: np.ndarray
) -> Contact:
    """The upper lip against the lower, both giving way; the corners and the mouth's lining follow smoothly.

    Args:
        raw: the source.
        mean: (S,3).
        upper: (C,S) points of the upper lip.
        lower: those that they touch.
        apart: (C,3) unit, from lower to upper.
    """
    rows = sparse.csr_matrix(upper - lower)
    follow = splu(_stiffness(raw, mean, np.asarray(upper @ mean))).solve(rows.T.toarray())
    answer = rows @ follow  # (C,C): how far each pair opens where one is pushed
    answer += SLACK * np.trace(answer) / len(answer) * np.eye(len(answer))
    return Contact(sparse.csr_matrix(upper), sparse.csr_matrix(lower), apart, follow @ np.linalg.inv(answer))


def _stiffness(raw: RawHead, mean: np.ndarray, contact: np.ndarray) -> sparse.csc_matrix:
    """(S,S) energy of a displacement of the skin: bending, and moving at all far from the contact."""
    quads = raw.quads[raw.part[raw.quads[:, 0]] == 0]
    ends = np.sort(np.stack([quads, np.roll(quads, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
    first, second = np.unique(ends, axis=0).T
    weight = 1.0 / np.linalg.norm(mean[first] - mean[second], axis=1).clip(0.3)
    links = sparse.csr_matrix((weight, (first, second)), shape=(len(mean), len(mean)))
    links = links + links.T
    total = np.asarray(links.sum(1)).ravel()
    bending = sparse.diags(1.0 / np.maximum(total, 1e-9)) @ links - sparse.identity(len(mean))
    held = HOLD + HOLD_FAR * (KDTree(contact).query(mean)[0] / LIP_FALL) ** 4
    held[total == 0.0] = HELD_FAST  # teeth, tongue and eyeballs
    return (bending.T @ bending + sparse.diags(held)).tocsc()


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
