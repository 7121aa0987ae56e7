"""The mouth of the mean head at rest: lips that meet, and teeth behind them where a smile shows them."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from base_model.contact import Contact, lip_contact
from base_model.raw_space import RawSpace, flip
from base_model.source import PARTS, RawHead
from base_model.subdivision import AdaptiveMesh
from facewright.models.lip_seam import seam_between

TEETH_WIDTH = 1.12  # of what is narrow enough for an open mouth's corners: these lips are closed
LEAN = 0.18  # mm that the teeth are turned forward at their edges, a mm below the gums
# Up and forward in mm of the incisors' edges from where the lips meet: the upper ones overlap the lower lip
# and the lower incisors; what is further back leaves a smile dark.
UPPER_EDGE, LOWER_EDGE = (-1.8, -3.5), (-0.3, -6.0)
MIDDLE = 4.0  # mm from the middle: the incisors, and the lips before them
LIPS_APART = 0.0  # mm that closed lips keep
ROUNDS = 6  # the nearest places move along as the lips close
NARROWEST, SMOOTHING = 1.6, 1.5  # mm along the mouth: where the narrowest place is looked for, and its blur


def settled_mouth(raw: RawHead, space: RawSpace, mesh: AdaptiveMesh, lips: np.ndarray) -> np.ndarray:
    """The mean (S,3) with its teeth in place and its lips closed.

    Args:
        raw: the source.
        space: its mean.
        mesh: the dense mesh.
        lips: (V,) bool, dense vertices of both lips.
    """
    return closed_lips(raw, placed_teeth(raw, space.mean, mesh, lips), space.mirror, mesh, lips)


def placed_teeth(raw: RawHead, mean: np.ndarray, mesh: AdaptiveMesh, lips: np.ndarray) -> np.ndarray:
    """Set the teeth behind the lips and the tongue behind the teeth."""
    dense = np.asarray(mesh.matrix @ mean)
    upper, lower, _ = seam_between(dense, mesh.faces, lips).places(dense, mesh.faces)
    meeting = 0.5 * (upper + lower)[abs(upper[:, 0]) < MIDDLE].mean(0)
    mean, part = mean.copy(), np.zeros(len(dense), dtype=np.int64)
    part[mesh.faces] = raw.part[raw.quads[:, 0]][mesh.quad][:, None]
    for name, edge, down in (("upper_teeth", UPPER_EDGE, -1.0), ("lower_teeth", LOWER_EDGE, 1.0)):
        number = PARTS.index(name)
        own = raw.part == number
        incisors = dense[(part == number) & (abs(dense[:, 0]) < MIDDLE)]
        tip = incisors[(down * incisors[:, 1]).argmax()]
        move = meeting[1:] + edge - tip[1:]
        mean[own, 2] += LEAN * down * (mean[own, 1] - tip[1])
        mean[own] = mean[own] * [TEETH_WIDTH, 1.0, 1.0] + [0.0, *move]
        mean[raw.part == PARTS.index("tongue")] += [0.0, *(0.5 * move)]
    return mean


def closed_lips(
    raw: RawHead, mean: np.ndarray, mirror: np.ndarray, mesh: AdaptiveMesh, lips: np.ndarray
) -> np.ndarray:
    """The head (S,3) with each lip moved smoothly half the way to where they meet."""
    for _ in range(ROUNDS):
        contact = seam_contact(raw, mean, mesh, lips)
        gap = ((contact.first - contact.second) @ mean * contact.apart).sum(1)
        along = (contact.first @ mean)[:, 0]
        away = abs(along[:, None] - along[None])
        narrowest = np.where(away < NARROWEST, gap[None], np.inf).min(1)
        blur = np.exp(-((away / SMOOTHING) ** 2))
        open_by = blur @ narrowest / blur.sum(1) - LIPS_APART
        move = contact.spread @ (open_by[:, None] * contact.apart)
        mean = mean - 0.5 * (move + flip(move, mirror))
    return mean


def seam_contact(raw: RawHead, mean: np.ndarray, mesh: AdaptiveMesh, lips: np.ndarray) -> Contact:
    """Where the lips of a head (S,3) meet or are nearest."""
    dense = np.asarray(mesh.matrix @ mean)
    seam = seam_between(dense, mesh.faces, lips)
    corners = mesh.faces[seam.triangle]
    rows = np.arange(len(corners)).repeat(3)
    weights = sparse.csr_matrix(
        (seam.corner_weights.ravel(), (rows, corners.ravel())), shape=(len(corners), len(dense))
    )
    return lip_contact(
        raw, mean, mesh.matrix[seam.upper], weights @ mesh.matrix, seam.places(dense, mesh.faces)[2]
    )
