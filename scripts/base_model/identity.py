"""Principal components of identity under a covariance of the raw coefficients."""

from __future__ import annotations

import numpy as np

from base_model.raw_space import RawSpace, flip
from base_model.source import PARTS, RawHead


def principal_components(space: RawSpace, factor: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """One-standard-deviation displacements and their share of the variance.

    Args:
        space: the raw directions.
        factor: (D,R) with covariance of the raw coefficients = factor @ factor.T.
        count: how many components to keep.

    Returns:
        (count,S,3) mm, each even or odd under mirroring; (count,) variance shares.
    """
    shapes = np.tensordot(factor.T, space.direction, 1)
    # People are not left- or right-handed in shape: a mirrored head is as likely as the head.
    shapes = np.concatenate([shapes, flip(shapes, space.mirror)]) / np.sqrt(2.0)
    flat = shapes.reshape(len(shapes), -1)
    values, vectors = np.linalg.eigh(flat @ flat.T)
    top = np.argsort(values)[::-1][:count]
    return (vectors[:, top].T @ flat).reshape(count, -1, 3), values[top] / values.sum()


def teeth_behind_lips(shapes: np.ndarray, raw: RawHead, lips: np.ndarray) -> np.ndarray:
    """Let the teeth and the tongue of each displacement (K,S,3) move as one piece with the lips (indices)."""
    shapes = shapes.copy()
    inside = np.isin(raw.part, [PARTS.index(p) for p in ("tongue", "upper_teeth", "lower_teeth")])
    shapes[:, inside] = shapes[:, lips].mean(1, keepdims=True)
    return shapes
