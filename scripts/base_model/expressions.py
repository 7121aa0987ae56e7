"""The 52 ARKit expressions on the source topology: symmetric, and corrected where the source is weak."""

from __future__ import annotations

import numpy as np

from base_model.raw_space import RawSpace, flip
from base_model.source import RawHead

STRENGTH = {"tongueOut": 1.4, "cheekPuff": 1.25}


def expression_basis(raw: RawHead, space: RawSpace) -> tuple[tuple[str, ...], np.ndarray]:
    """Names and displacements (52,S,3) at activation 1."""
    names = [str(name) for name in raw.action_names]
    partner = [names.index(_other_side(name)) for name in names]
    shapes = raw.action.astype(np.float64)
    shapes = 0.5 * (shapes + flip(shapes[partner], space.mirror))
    for name, factor in STRENGTH.items():
        shapes[names.index(name)] *= factor
    return tuple(names), shapes


def _other_side(name: str) -> str:
    if name.endswith("Left"):
        return name.removesuffix("Left") + "Right"
    if name.endswith("Right"):
        return name.removesuffix("Right") + "Left"
    return name
