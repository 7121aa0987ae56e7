"""The raw shape space: one mean adult and a few hundred directions with a first guess of their spread.

The source is piecewise linear (phenotypes multiply, sliders have two sides). Here it becomes linear: sampled
phenotypes give principal directions, each side of a slider is a direction of its own, and what only moves or
turns the head is taken out of every direction.
"""

from __future__ import annotations

import dataclasses
import re

import numpy as np

from base_model.source import RawHead

SLIDERS = re.compile(r"^(l-|r-)?(cheek|chin|ear|eye|eyebrows|forehead|head|mouth|nose|neck)-")
# These move or turn the whole head on the neck: pose, not shape.
POSE_SLIDERS = re.compile(r"^(head-trans|head-angle|neck-trans|neck-scale-vert)")
SLIDER_SPREAD = 0.25  # of each side, first guess
MACRO_SAMPLES, MACRO_RANK = 600, 60
ADULT = (0.6, 1.0)  # age phenotype: 2/3 young adult, 1 old
TEETH_WIDTH = 0.80
# Moves (up, forward) in mm: the upper incisors end 2 mm below the lips' line and stand close behind the lip,
# so that a smile shows them; the tongue rests behind the lower ones.
MOUTH_MOVES = {4: (-2.4, 1.0), 5: (-2.4, -0.5), 3: (-3.5, -3.5)}
SCALE_SPREAD = 0.015  # overall size beyond what the phenotypes hold


@dataclasses.dataclass(frozen=True)
class RawSpace:
    """``shape = mean + coefficients @ (spread * direction)`` on the source topology, mm, head frame."""

    mean: np.ndarray  # (V,3)
    direction: np.ndarray  # (D,V,3)
    spread: np.ndarray  # (D,) first guess of each coefficient's standard deviation
    mirror: np.ndarray  # (V,)


def build_raw_space(raw: RawHead, seed: int) -> RawSpace:
    """Linearise the source around its mean adult."""
    generator = np.random.default_rng(seed)
    mirror = mirror_map(raw.template)
    weights = _macro_weights(raw, generator)
    mean = raw.template + np.tensordot(weights.mean(0), raw.macro, 1)
    mean = tuck_teeth(raw, 0.5 * (mean + flip(mean, mirror)))
    anchor = face_anchor(raw, mean)
    macro = np.tensordot(weights - weights.mean(0), raw.macro.astype(np.float64), 1)
    macro = without_rigid(macro, mean, anchor)
    _, s, v = np.linalg.svd(macro.reshape(len(macro), -1), full_matrices=False)
    macro = v[:MACRO_RANK].reshape(MACRO_RANK, -1, 3)
    macro_spread = s[:MACRO_RANK] / np.sqrt(len(weights))
    named = np.array([bool(SLIDERS.match(n)) and not POSE_SLIDERS.match(n) for n in raw.slider_names])
    slider = without_rigid(raw.slider[np.repeat(named, 2)].astype(np.float64), mean, anchor)
    size = without_rigid(mean[None] - mean[anchor].mean(0), mean, anchor)
    direction = np.concatenate([macro, slider, size])
    spread = np.concatenate([macro_spread, np.full(len(slider), SLIDER_SPREAD), [SCALE_SPREAD]])
    moved = np.abs(spread[:, None] * np.linalg.norm(direction, axis=2)).max(1) > 0.02
    origin = _origin(raw, mean)
    return RawSpace(mean - origin, direction[moved], spread[moved], mirror)


def tuck_teeth(raw: RawHead, mean: np.ndarray) -> np.ndarray:
    """Narrow the teeth, which show at a closed mouth's corners, and place them for a smile."""
    mean = mean.copy()
    for part, (up, forward) in MOUTH_MOVES.items():
        width = TEETH_WIDTH if part != 3 else 1.0
        mean[raw.part == part] = mean[raw.part == part] * [width, 1.0, 1.0] + [0.0, up, forward]
    return mean


def mirror_map(points: np.ndarray) -> np.ndarray:
    """(V,) index of each vertex's left-right counterpart; the source is symmetric to the last bit."""
    from scipy.spatial import KDTree

    distance, mirror = KDTree(points).query(points * [-1.0, 1.0, 1.0])
    if distance.max() > 1e-6 or not np.array_equal(mirror[mirror], np.arange(len(points))):  # pyright: ignore[reportIndexIssue]
        raise ValueError(f"the source mesh is not symmetric: {distance.max():.2e} mm")
    return mirror  # pyright: ignore[reportReturnType]


def flip(shapes: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Mirror points or displacements (...,V,3)."""
    return shapes[..., mirror, :] * np.array([-1.0, 1.0, 1.0])


def face_anchor(raw: RawHead, mean: np.ndarray) -> np.ndarray:
    """(V,) bool: skin of the face in front of the ears, which shapes are aligned on."""
    eye = mean[(raw.part == 1) | (raw.part == 2)].mean(0)
    inside = np.zeros(len(mean), dtype=bool)
    inside[raw.quads[raw.cavity]] = True
    height = mean[:, 1] - eye[1]
    return (raw.part == 0) & ~inside & (mean[:, 2] > eye[2] - 45.0) & (height > -110.0) & (height < 60.0)


def without_rigid(shapes: np.ndarray, mean: np.ndarray, anchor: np.ndarray) -> np.ndarray:
    """Displacements (N,V,3) less the small motion that best moves the anchor vertices with them."""
    centred = mean - mean[anchor].mean(0)
    x, y, z = centred.T
    zero, one = np.zeros_like(x), np.ones_like(x)
    turn = [np.stack(m, 1) for m in ((zero, -z, y), (z, zero, -x), (-y, x, zero))]
    shift = [np.stack(m, 1) for m in ((one, zero, zero), (zero, one, zero), (zero, zero, one))]
    motion = np.stack(turn + shift)  # (6,V,3)
    basis = motion[:, anchor].reshape(6, -1)
    gram = basis @ basis.T
    weights = np.linalg.solve(gram, basis @ shapes[:, anchor].reshape(len(shapes), -1).T)
    return shapes - np.tensordot(weights.T, motion, 1)


def _macro_weights(raw: RawHead, generator: np.random.Generator) -> np.ndarray:
    import torch
    from anny.models.phenotype import make_phenotype_anchors, phenotype_blendshape_weights  # pyright: ignore[reportMissingImports]

    names = ["gender", "age", "muscle", "weight", "height", "proportions", "african", "asian", "caucasian"]
    value = generator.uniform(0.2, 0.8, (MACRO_SAMPLES, len(names)))
    value[:, 1] = generator.uniform(*ADULT, MACRO_SAMPLES)
    value[:, 6:] = generator.dirichlet(np.ones(3), MACRO_SAMPLES)
    weights = phenotype_blendshape_weights(
        torch.as_tensor(value),
        names,
        make_phenotype_anchors(torch.float64),
        torch.as_tensor(raw.macro_mask),
        extrapolate=False,
    )
    return weights.numpy()


def _origin(raw: RawHead, mean: np.ndarray) -> np.ndarray:
    """Half way between the ears' midpoint and the nose bridge."""
    skin = raw.part == 0
    eye = mean[(raw.part == 1) | (raw.part == 2)].mean(0)
    ear = np.zeros(len(mean), dtype=bool)
    for name, shape in zip(np.repeat(raw.slider_names, 2), raw.slider, strict=True):
        if "ear-scale-incr" in str(name):
            ear |= np.linalg.norm(shape, axis=1) > 1.0
    bridge = (
        skin & (np.abs(mean[:, 0]) < 1.0) & (np.abs(mean[:, 1] - eye[1] - 4.0) < 4.0) & (mean[:, 2] > eye[2])
    )
    return 0.5 * (mean[ear & skin].mean(0) + mean[bridge].mean(0)) * [0.0, 1.0, 1.0]
