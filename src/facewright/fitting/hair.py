"""The shell of a head's hair: as high as it stands at the outline in the photo, smooth where none is seen.

**Source:** none of the papers. The outline bounds the surface as in shape from silhouettes; the rest is the
smoothest field on the knots of ``HairCap``.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from torch import Tensor

from facewright.fitting.hair_cover import Growth, hair_cover, judge_growth
from facewright.fitting.hair_view import HairView
from facewright.models.hair_cap import HairCap
from facewright.models.hair_mesh import HairShell

ROUNDS = 4  # of finding the outline on the shell and lifting it there
OUTLINE = 0.3  # largest cosine to the viewer beside the outline
RADIUS = 90.0  # mm of a head: how far a place beside the outline lies inside it
LOWEST, HIGHEST, STEP = -6.0, 70.0, 1.5  # mm off the skin that the outline is looked for
BALD = 2.0  # mm that an outline of skin may lie off the skin: what is more is an error of the fit
FACING = 0.3  # cosine to the viewer from which on skin without hair is seen
ROUGHNESS, LOPSIDED, HABIT = 3.0, 0.05, 0.08  # weights of the field's forms and of the usual height
OUTLIER = 5.0  # mm
ROBUST_ROUNDS = 4
USUAL, MOST_USUAL = 8.0, 40.0  # mm that hair stands where nothing tells, and at most
FULL = 90.0  # mm above the line of short hair where it stands as high as it does at the crown
BEHIND, BACK = np.radians(125.0), 75.0  # angle from the front and mm above the brows: the back of the head...
MOST_BEHIND, HABIT_BEHIND = 16.0, 0.4  # ... mm that hair stands there, and how surely
CROWN = 10.0  # mm above the brows: the outline above tells how high hair stands
LEAST_OUTLINE = 8  # samples


def fit_hair(view: HairView, vertices: Float[Tensor, "V 3"]) -> tuple[HairShell, HairView] | None:
    """Lift the cap of a head to the outline of its hair in a photo.

    Args:
        view: the cap in the photo.
        vertices: of the head with the photo's expression, mm, head frame.

    Returns:
        The hair, and the cap in the photo where a bald crown is no hair; None where hardly any is seen.
    """
    rise = _risen(view)
    growth, judged = judge_growth(view, rise)
    if growth is Growth.NONE:
        return None
    if judged is not view:
        rise = _risen(judged)
    cap = view.cap
    skin = vertices.detach().cpu().double().numpy()[cap.vertex]
    places, cover = hair_cover(judged, rise, skin, growth)
    offset = torch.from_numpy(cap.mesh.rounded(places)).to(vertices) - cap.mesh.base(vertices)
    return HairShell(cap.mesh, offset, torch.from_numpy(cap.mesh.spread(cover)).to(vertices)), judged


def _risen(view: HairView) -> Float[ndarray, " N"]:
    """How far (mm) the outline lifts the cap."""
    field = np.zeros(len(view.cap.roughness))
    for _ in range(ROUNDS):
        field = _raised(view, field)
    return (view.cap.spread @ field).clip(0, HIGHEST)


@dataclass(frozen=True)
class _Outline:
    """Where the outline lies along the way out of some samples.

    Attributes:
        rise: mm off the skin.
        trust: in it, 0 where it was not found.
        high: whether it lies above the brows.
    """

    rise: Float[ndarray, " O"]
    trust: Float[ndarray, " O"]
    high: Bool[ndarray, " O"]


def _raised(view: HairView, field: Float[ndarray, " K"]) -> Float[ndarray, " K"]:
    """The field that lifts the shell to the photo's outline wherever the shell so far has its own."""
    cap, samples = view.cap, view.cap.samples
    points = view.lifted(field)
    places, pixels = view.at(points[samples])
    facing = view.facing(places, cap.normals(points)[samples])
    beyond, hair, known = view.look.at(pixels)
    rows = np.flatnonzero(np.abs(facing) < OUTLINE)
    outline = _outline(view, samples[rows])
    inside = 1 - np.sqrt(1 - facing[rows] ** 2)
    target, weight = np.zeros(len(samples)), np.zeros(len(samples))
    target[rows], weight[rows] = (outline.rise - (RADIUS + outline.rise) * inside).clip(0), outline.trust
    skin = (facing > FACING) & known & (hair < 0.3) & (beyond < 0.5)
    target[skin], weight[skin] = 0.0, 1.0
    crown = outline.rise[outline.high & (outline.trust > 0.3)]
    usual = float(np.median(crown)) if len(crown) >= LEAST_OUTLINE else USUAL
    # Towards the nape, which no portrait shows, hair gets short; and behind it rarely stands as at the crown.
    knots = samples[: len(field)]
    full = (cap.over_short[knots] / FULL).clip(0, 1)
    behind = (np.abs(cap.angle[knots]) > BEHIND) & (cap.height[knots] < BACK)
    height = np.where(behind, min(usual, MOST_BEHIND), min(usual, MOST_USUAL))
    return _smoothest(cap, target, weight, (height * full, np.where(behind, HABIT_BEHIND, HABIT)))


def _outline(view: HairView, vertex: Int64[ndarray, " O"]) -> _Outline:
    """Walk off the skin, across the photo, until the background begins."""
    starts = view.at(view.points[vertex])[1]
    ways = view.at(view.points[vertex] + view.outward[vertex])[1] - starts
    rises = np.arange(LOWEST, HIGHEST + STEP, STEP)
    pixels = starts[:, None] + rises[None, :, None] * ways[:, None]
    beyond, hair, known = (each.reshape(len(vertex), -1) for each in view.look.at(pixels.reshape(-1, 2)))
    row, last = np.arange(len(vertex)), len(rises) - 1
    first = (beyond > 0.5).argmax(1)
    before = (first - 1).clip(0)
    step = beyond[row, first] - beyond[row, before]
    share = ((0.5 - beyond[row, before]) / np.maximum(step, 1e-3)).clip(0, 1)
    rise = np.where(first > 0, rises[before] + STEP * share, rises[0]).clip(0)
    passed = (np.arange(len(rises)) < first[:, None]) & (rises >= 0)
    hairy = np.where(passed.any(1), (hair * passed).sum(1) / passed.sum(1).clip(1), 1.0)
    sharp = beyond[row, (first + 1).clip(max=last)] - beyond[row, (first - 2).clip(0)]
    found = (beyond > 0.5).any(1) & known[row, first] & known[row, before]
    trust = np.where(found, sharp.clip(0, 1) * np.where(rise > BALD, hairy, 1.0), 0.0)
    rise = np.where(hairy < 0.3, np.minimum(rise, BALD), rise)
    return _Outline(rise, trust, view.cap.height[vertex] > CROWN)


def _smoothest(
    cap: HairCap,
    target: Float[ndarray, " M"],
    weight: Float[ndarray, " M"],
    habit: tuple[Float[ndarray, " K"], Float[ndarray, " K"]],
) -> Float[ndarray, " K"]:
    """The smooth field that is nearest to what the samples tell; outliers lose their weight.

    ``habit`` is the usual height of each knot, mm, and its weight.
    """
    told = weight > 0
    at, target, weight = cap.spread[cap.samples[told]].toarray(), target[told], weight[told]
    usual, strength = habit
    prior = ROUGHNESS * cap.roughness + LOPSIDED * cap.lopsided + np.diag(strength)
    trust, field = weight, np.zeros(at.shape[1])
    for _ in range(ROBUST_ROUNDS):
        field = np.linalg.solve((at.T * trust) @ at + prior, at.T @ (trust * target) + strength * usual)
        trust = weight / (1 + ((at @ field - target) / OUTLIER) ** 2)
    return field
