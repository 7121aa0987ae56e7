"""Which part of a cap lies under hair: what the photo shows of it, and what goes on from there unseen."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.spatial import KDTree

from facewright.detection.hair_look import of_the_head
from facewright.fitting.hair_view import HairView
from facewright.models.hair_cap import HairCap

FACING = (-0.05, 0.25)  # cosines to the viewer from which on a place counts as seen, and fully
ROUGHNESS, LOPSIDED, HABIT = 0.3, 0.02, 0.03  # weights of the field's forms and of short hair
LINE_SOFT = 6.0  # mm
SIDES = (np.radians(73.0), np.radians(120.0))  # angles at which hair hangs beside the face
SLICE = 8.0  # mm of height that are judged together
TOP = 20.0  # mm above the brows, from where hair is followed down
HANGS = 0.4  # share of hair with which it goes on further down
LEAST_SCALP = 0.06  # of it that must be seen
DARK = 0.05  # added to sRGB values before the logarithm
# Deviations (log) from the colour of the hair on the scalp; what hangs lies in the shade.
BRIGHTER, DARKER, OTHER_HUE = (0.4, 0.8), (1.3, 2.0), (0.3, 0.6)
CLOSED = 0.15  # share of hair around such an ear that is no hole
# Where skin is asked for its colour: so many mm below the line of short hair, and seen so well.
BROW_SKIN, SKIN_SEEN = -8.0, 0.3
# Deviations (log) from the colour of skin: a crown shines, and hair is darker or of another hue.
SKIN_BRIGHTER, SKIN_DARKER, SKIN_HUE = (0.5, 0.8), (0.1, 0.25), (0.04, 0.1)
LEAST_HAIR = 0.45  # share of the scalp that is seen under hair
SIDE_TOLD = 0.25  # of what is seen on the better side, that a side is judged by itself
HIDES = 0.6  # share of hair on an ear with which it lies under hair
BELOW = (-8.0, 4.0)  # mm around its end
LEAST_SEEN, LEAST_EAR = 0.5, 0.5  # vertices of a slice, and of an ear, that tell
OUT = 1.5  # mm off the smooth skin: the ear itself
REACH = 30.0  # mm around an ear over which the shell is lifted above it
ROOM = 1.0  # mm between them
SOFT_ROUNDS, TUCK_ROUNDS, EAR_ROUNDS = 12, 10, 30  # of averaging with the vertices around
THICK = 3.0  # mm that hair stands at least
TUCKED = (0.55, 1.0)  # shares of hair around between which the shell leaves the skin


def hair_cover(
    view: HairView, rise: Float[ndarray, " N"], head: Float[ndarray, "N 3"]
) -> tuple[Float[ndarray, " N"], Float[ndarray, " N"]] | None:
    """Where hair lies, and the shell lifted over the ears that it hides.

    Args:
        view: the cap in the photo.
        rise: of the shell, mm.
        head: the head's own vertices, mm, head frame.

    Returns:
        The rise of each vertex (mm) and its share of hair, 0 to 1; None where too little of the scalp that
        is seen lies under hair.
    """
    cap = view.cap
    points = view.points + rise[:, None] * view.outward
    places, pixels = view.at(points)
    beyond, hair, known = view.look.at(pixels)
    share = of_the_head(hair, beyond)
    low, high = FACING
    facing = view.facing(places, cap.normals(points))
    # The head is there: a place that looks like the background was not judged.
    seen = ((facing - low) / (high - low)).clip(0, 1) * known * (1 - beyond) ** 2
    seen = seen * ~view.behind_face(places, pixels)
    scalp = cap.over_short > 0
    color = view.look.color(pixels)
    hairy = share * (1 - _like_skin(color, seen * (1 - share) * (cap.over_short < BROW_SKIN)))
    if seen[scalp] @ hairy[scalp] < LEAST_HAIR * max(float(seen[scalp].sum()), LEAST_SCALP * scalp.sum()):
        return None
    share = np.where(scalp, share, share * _like(color, seen * share * scalp))
    cover = seen * share + (1 - seen) * _carried_on(view, seen, share)
    off = ((head - view.points) * view.outward).sum(1)
    sides = [
        _side(cap, side * cap.angle > 0, around & (off > OUT), seen, share)
        for side, around in zip((1.0, -1.0), cap.ears, strict=True)
    ]
    better = max(sides, key=lambda side: side.told)
    hides = []
    for side, around in zip(sides, cap.ears, strict=True):
        # A side that the photo hardly shows is as the other.
        judged = side if side.told > SIDE_TOLD * better.told else better
        within = np.maximum(cap.over_short, cap.height - judged.end)
        cover = np.where(side.mine, cover * _ramp(within, BELOW), cover)
        ear = side.ear
        if judged.hides:
            hides.append(ear & (cap.height > judged.end))
            closed = around & (cap.height > judged.end) & (cover > CLOSED)
            laid = cap.smoothed((hides[-1] | closed).astype(float), EAR_ROUNDS)  # ears have a fine mesh
            cover = np.maximum(np.where(ear, 0.0, cover), laid)
        else:
            before = around & (cap.over_short < 0)
            if judged.end < judged.middle:  # hair hangs behind it
                before &= np.abs(cap.angle) < np.median(np.abs(cap.angle[ear]))
            cover = np.where(ear | before, 0.0, cover)
    cover = cap.smoothed(cover, SOFT_ROUNDS)
    # Its ends lie on the skin, or one would look between both; a hairline has some height all the same.
    within = cap.smoothed(cover, TUCK_ROUNDS)
    rise = np.maximum(rise * _ramp(within, TUCKED), THICK * _ramp(within, (0.5, 1.0)))
    for hidden in hides:
        rise = _over(view, hidden, off, rise)
    # Skin that stands out of the smooth cap around an ear does not come through hair.
    return np.where(cover > CLOSED, np.maximum(rise, off + ROOM), rise), cover


@dataclass(frozen=True)
class _Side:
    """One side of a head.

    Attributes:
        mine: its vertices.
        ear: those of the ear itself.
        end: height (mm above the brows) down to which hair hangs.
        middle: height of the ear's middle, and two slices more: hair that ends there was seen to reach it.
        hides: whether the ear lies under hair.
        told: vertices beside the face that were seen.
    """

    mine: Bool[ndarray, " N"]
    ear: Bool[ndarray, " N"]
    end: float
    middle: float
    hides: bool
    told: float


def _side(
    cap: HairCap,
    mine: Bool[ndarray, " N"],
    ear: Bool[ndarray, " N"],
    seen: Float[ndarray, " N"],
    share: Float[ndarray, " N"],
) -> _Side:
    """Judge one side: a tuft before an ear hides nothing of it, hair that hangs to its middle may."""
    angle = np.abs(cap.angle)
    beside = mine & (angle > SIDES[0]) & (angle < SIDES[1]) & (cap.height < TOP)
    end = _end(cap, beside, seen, share)
    middle = float(np.median(cap.height[ear])) + 2 * SLICE if ear.any() else -np.inf
    shown = float(seen[ear].sum())
    hides = end < middle and shown > LEAST_EAR and float(seen[ear] @ share[ear]) > HIDES * shown
    return _Side(mine, ear, end, middle, hides, float(seen[beside].sum()))


def _like_skin(color: Float[ndarray, "N 3"], skin: Float[ndarray, " N"]) -> Float[ndarray, " N"]:
    """How far colours are those of skin (weights) in any light: a bald crown is easily taken for hair."""
    if skin.max() < SKIN_SEEN:
        return np.zeros(len(color))
    tone, hue = _away_from(color, skin)
    return (1 - _ramp(tone, SKIN_BRIGHTER)) * (1 - _ramp(-tone, SKIN_DARKER)) * (1 - _ramp(hue, SKIN_HUE))


def _like(color: Float[ndarray, "N 3"], hair: Float[ndarray, " N"]) -> Float[ndarray, " N"]:
    """How far colours can be those of the hair (weights): what hangs beside a face may be a wall."""
    tone, hue = _away_from(color, hair)
    odd = np.maximum(_ramp(tone, BRIGHTER), _ramp(-tone, DARKER))
    return (1 - odd) * (1 - _ramp(hue, OTHER_HUE))


def _away_from(
    color: Float[ndarray, "N 3"], weight: Float[ndarray, " N"]
) -> tuple[Float[ndarray, " N"], Float[ndarray, " N"]]:
    """Deviations (log) of tone and of hue from the median of the colours with the largest weights."""
    logs = np.log(color + DARK)
    away = logs - np.median(logs[weight > 0.5 * weight.max()], axis=0)
    tone = away.mean(1)
    return tone, np.abs(away - tone[:, None]).max(1)


def _carried_on(
    view: HairView, seen: Float[ndarray, " N"], share: Float[ndarray, " N"]
) -> Float[ndarray, " N"]:
    """Smooth on from what is seen, towards short hair."""
    cap, rows = view.cap, view.cap.samples
    habit = 1 / (1 + np.exp(-cap.over_short / LINE_SOFT))
    at = cap.spread[rows].toarray()
    left = (at.T * (seen[rows] + HABIT)) @ at + ROUGHNESS * cap.roughness + LOPSIDED * cap.lopsided
    field = np.linalg.solve(left, at.T @ (seen * share + HABIT * habit)[rows])
    return (cap.spread @ field).clip(0, 1)


def _end(
    cap: HairCap, rows: Bool[ndarray, " N"], seen: Float[ndarray, " N"], share: Float[ndarray, " N"]
) -> float:
    """Height (mm above the brows) down to which hair is seen to hang on some vertices without a break."""
    end = min(TOP, float(cap.height[rows].max(initial=-np.inf)))
    while end > cap.height.min():
        here = rows & (cap.height <= end) & (cap.height > end - SLICE)
        if seen[here].sum() < LEAST_SEEN or (seen[here] @ share[here]) / seen[here].sum() < HANGS:
            break
        end -= SLICE
    return end


def _over(
    view: HairView, hidden: Bool[ndarray, " N"], off: Float[ndarray, " N"], rise: Float[ndarray, " N"]
) -> Float[ndarray, " N"]:
    """The shell, lifted over the part of an ear that it hides; ``off`` is how far that is off the cap."""
    if not hidden.any():
        return rise
    near = _ramp(REACH - KDTree(view.points[hidden]).query(view.points)[0], (0.0, REACH))
    return rise + max(float((off + ROOM - rise)[hidden].max()), 0.0) * near


def _ramp(values: Float[ndarray, " N"], edges: tuple[float, float]) -> Float[ndarray, " N"]:
    """0 below the first edge, 1 above the second, smooth between."""
    share = ((values - edges[0]) / (edges[1] - edges[0])).clip(0, 1)
    return share * share * (3 - 2 * share)
