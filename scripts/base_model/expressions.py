"""The 52 ARKit expressions on the source topology: symmetric, and corrected where the source is weak."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from base_model.raw_space import RawSpace, flip
from base_model.source import RawHead
from base_model.subdivision import AdaptiveMesh

# The source's jaw opens 35 mm between the lips' margins, people's 45; mouthClose undoes it.
STRENGTH = {"cheekPuff": 1.1, "jawOpen": 1.15, "mouthClose": 1.15}
PUFF_SIDEWAYS = 0.4  # of the puffed cheek's way forward: the source's puff is not seen from the front
TONGUE_JAW = 0.3  # of the open jaw: the source puts the tongue out through the closed lower lip
TONGUE_LENGTH, TONGUE_LIFT = 1.25, 5.0  # factor; mm at the tip, so that it lies on the lip
LID_CLEARANCE = 0.6  # mm over the mean's eyeball at full blink: other heads' lids lie a little deeper
LID_REACH, LID_ROUNDS = 4.0, 15


def expression_basis(raw: RawHead, space: RawSpace) -> tuple[tuple[str, ...], np.ndarray]:
    """Names and displacements (52,S,3) at activation 1."""
    names = [str(name) for name in raw.action_names]
    partner = [names.index(_other_side(name)) for name in names]
    shapes = raw.action.astype(np.float64)
    shapes = 0.5 * (shapes + flip(shapes[partner], space.mirror))
    for name, factor in STRENGTH.items():
        shapes[names.index(name)] *= factor
    puff = shapes[names.index("cheekPuff")]
    puff[:, 0] += PUFF_SIDEWAYS * np.sign(space.mean[:, 0]) * np.maximum(puff[:, 2], 0.0)
    out = TONGUE_LENGTH * shapes[names.index("tongueOut")]
    out[:, 1] += TONGUE_LIFT * np.clip(out[:, 2] / out[:, 2].max(), 0.0, 1.0) ** 2
    shapes[names.index("tongueOut")] = out + TONGUE_JAW * shapes[names.index("jawOpen")]
    return tuple(names), shapes


def lids_off_eyeball(
    names: tuple[str, ...],
    shapes: np.ndarray,
    space: RawSpace,
    mesh: AdaptiveMesh,
    skin: np.ndarray,
    ball: np.ndarray,
) -> np.ndarray:
    """Shapes (52,S,3) whose closed lids lie on the eyeballs instead of in them.

    Args:
        names: of the shapes.
        shapes: displacements on the source topology.
        space: its mean.
        mesh: the dense mesh.
        skin: (V,) dense vertices of the open skin.
        ball: (V,) dense vertices of the left eyeball.
    """
    shapes = shapes.copy()
    left = names.index("eyeBlinkLeft")
    weight = mesh.matrix.T.multiply(mesh.matrix.T > 0.05).tocsr()
    eye = (mesh.matrix @ space.mean)[ball]
    centre = 0.5 * (eye.max(0) + eye.min(0))
    radius = np.linalg.norm(eye - centre, axis=1)
    tree = KDTree((eye - centre) / radius[:, None])
    # What lies in the ball at rest is hidden there, and to push it out would open the lids again.
    rest = mesh.matrix @ space.mean - centre
    outside = np.linalg.norm(rest, axis=1)
    skin = skin & (outside > radius[tree.query(rest / outside[:, None])[1]])
    for _ in range(LID_ROUNDS):
        lids = mesh.matrix @ (space.mean + shapes[left])
        height = np.linalg.norm(lids - centre, axis=1)
        outward = (lids - centre) / height[:, None]
        deep = radius[tree.query(outward)[1]] + LID_CLEARANCE - height
        near = skin & (deep > 0) & (deep < LID_REACH)
        push = np.where(near, deep, 0.0)[:, None] * outward
        shapes[left] += (weight @ push) / np.maximum(weight @ near.astype(float), 1e-9)[:, None]
    shapes[names.index("eyeBlinkRight")] = flip(shapes[left], space.mirror)
    return shapes


def _other_side(name: str) -> str:
    if name.endswith("Left"):
        return name.removesuffix("Left") + "Right"
    if name.endswith("Right"):
        return name.removesuffix("Right") + "Left"
    return name
