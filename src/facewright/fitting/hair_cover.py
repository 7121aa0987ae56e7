"""Which part of a cap lies under hair: what the photo shows of it, and what goes on from there unseen."""

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.spatial import KDTree

from facewright.detection.hair_look import of_the_head
from facewright.fitting.hair_fall import ColorTest, Curtain, Fall, Upright, curtain, fall_beside, ramp
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
# Colours that hair is compared by, the part of the distance to others that theirs may be, and a step of the
# logarithm that is no difference.
ALIKE, RATHER, ALIKE_STEP, HUE_COUNTS = 5, 1.0, 0.05, 3.0
CLOSED = 0.15  # share of hair around such an ear that is no hole
# Where skin is asked for its colour: so many mm below the line of short hair, and seen so well.
BROW_SKIN, SKIN_SEEN = -8.0, 0.6
# Deviations (log) from the colour of skin: a crown shines, and hair is darker or of another hue.
SKIN_BRIGHTER, SKIN_DARKER, SKIN_HUE = (0.5, 0.8), (0.1, 0.25), (0.04, 0.1)
# Shares of the scalp that is seen, and of it beside and behind the temples (radians from the front, mm above the
# brows), that lie under hair at least.
LEAST_HAIR, LEAST_WREATH = 0.45, 0.65
WREATH, WREATH_TOP = np.radians(60.0), 40.0
BALD = (70.0, 45.0)  # mm above the brows between which a wreath of hair begins
SIDE_TOLD = 0.25  # of what is seen on the better side, that a side is judged by itself
LOBE = 15.0  # mm of an ear that lie below what hides it, and are hidden with it
HIDES, BARE = 0.6, 0.4  # shares of hair on an ear with which it lies under hair, and free
LONGEST_BOB = -95.0  # mm above the brows: what reaches lower was followed down
BELOW = (-8.0, 4.0)  # mm around its end
LEAST_SEEN, LEAST_EAR = 0.5, 0.5  # vertices of a slice, and of an ear, that tell
OUT = 1.5  # mm off the smooth skin: the ear itself
REACH, UNDER = (
    8.0,
    12,
)  # mm around an ear over which the shell is lifted above it, and places below that are asked
ROOM = 1.0  # mm between them
SOFT_ROUNDS, TUCK_ROUNDS, EAR_ROUNDS = 12, 10, 30  # of averaging with the vertices around
THICK, LEAST_RISE = 3.0, 0.6  # mm that hair stands at least, and at its ends: it lies on the skin, not in it
TUCKED = (0.55, 1.0)  # shares of hair around between which the shell leaves the skin


class Growth(Enum):
    """Where hair grows on a head: nowhere, beside and behind a bald crown, everywhere."""

    NONE = 0
    WREATH = 1
    FULL = 2


@dataclass(frozen=True)
class _Sight:
    """What a photo shows of the places of a shell.

    Attributes:
        seen: how surely each is seen.
        share: of hair in it.
        color: sRGB.
    """

    seen: Float[ndarray, " N"]
    share: Float[ndarray, " N"]
    color: Float[ndarray, "N 3"]

    @classmethod
    def of(cls, view: HairView, points: Float[ndarray, "N 3"]) -> "_Sight":
        places, pixels = view.at(points)
        beyond, hair, known = view.look.at(pixels)
        low, high = FACING
        facing = view.facing(places, view.cap.normals(points))
        # The head is there: a place that looks like the background was not judged.
        seen = ((facing - low) / (high - low)).clip(0, 1) * known * (1 - beyond) ** 2
        seen = seen * ~view.behind_face(places, pixels)
        return cls(seen, of_the_head(hair, beyond), view.look.color(pixels))


def hair_cover(
    view: HairView, rise: Float[ndarray, " N"], head: Float[ndarray, "N 3"], growth: Growth
) -> tuple[Float[ndarray, "N 3"], Float[ndarray, " N"]]:
    """Where hair lies, and the shell where it hangs and is lifted over the ears that it hides.

    Args:
        view: the cap in the photo.
        rise: of the shell, mm.
        head: the head's own vertices, mm, head frame.
        growth: where hair grows.

    Returns:
        The place of each vertex (mm, head frame) and its share of hair, 0 to 1.
    """
    cap, scalp = view.cap, view.cap.over_short > 0
    points = view.points + rise[:, None] * view.outward
    sight = _Sight.of(view, points)
    like = _like(sight.color, sight.seen * sight.share * scalp)
    off = ((head - view.points) * view.outward).sum(1)
    share = np.where(scalp, sight.share, sight.share * like(sight.color))
    sides = _sides(cap, off, sight.seen, share)
    skin = sight.seen * (1 - sight.share) * (cap.over_short < BROW_SKIN)
    own = _rather(sight.color, sight.seen * sight.share * scalp, skin, view.look.background())
    hung, sides = _hung(view, points, lambda colors: like(colors) * own(colors), sides)
    if hung is not None:
        sight = _Sight.of(view, hung.points)
        share = np.where(scalp, sight.share, sight.share * like(sight.color))
    unseen = _carried_on(view, sight.seen, share, growth)
    above = np.full(len(unseen), -np.inf)
    if hung is not None:
        above = np.where(hung.share > 0, hung.above, -np.inf)
        unseen = np.maximum(unseen, hung.share * ramp(above, BELOW))
    cover = sight.seen * share + (1 - sight.seen) * unseen
    hides = []
    for side, around in zip(sides, cap.ears, strict=True):
        within = np.maximum(np.maximum(cap.over_short, cap.height - side.end), above)
        cover = np.where(side.mine, cover * ramp(within, BELOW), cover)
        ear = side.ear
        if side.hides:
            hides.append(ear & (cap.height > side.end - LOBE))
            closed = around & (cap.height > side.end - LOBE) & (cover > CLOSED)
            laid = cap.smoothed((hides[-1] | closed).astype(float), EAR_ROUNDS)  # ears have a fine mesh
            cover = np.maximum(np.where(ear, 0.0, cover), laid)
        else:
            before = around & (cap.over_short < 0)
            if side.end < side.middle:  # hair hangs behind it
                before &= np.abs(cap.angle) < np.median(np.abs(cap.angle[ear]))
            cover = np.where(ear | before, 0.0, cover)
    if growth is Growth.WREATH:
        cover = cover * ramp(-cap.height, (-BALD[0], -BALD[1]))
    cover = cap.smoothed(cover, SOFT_ROUNDS)
    # Its ends lie on the skin, or one would look between both; a hairline has some height all the same.
    within = cap.smoothed(cover, TUCK_ROUNDS)
    rise = np.maximum(rise * ramp(within, TUCKED), THICK * ramp(within, (0.5, 1.0)))
    for hidden in hides:
        rise = _over(view, head, hidden, rise)
    # Skin that stands out of the smooth cap around an ear does not come through hair.
    rise = np.where(cover > CLOSED, np.maximum(rise, off + ROOM), rise) + LEAST_RISE
    points = view.points + rise[:, None] * view.outward
    if hung is None:
        return points, cover
    points = points + hung.share[:, None] * (hung.points - points)
    rise = lifted = ((points - view.points) * view.outward).sum(1)
    for hidden in hides:
        lifted = _over(view, head, hidden, lifted)
    lifted = np.where(cover > CLOSED, np.maximum(lifted, off + ROOM), lifted)
    return points + (lifted - rise)[:, None] * view.outward, cover


def judge_growth(view: HairView, rise: Float[ndarray, " N"]) -> tuple[Growth, HairView]:
    """Where hair grows on a head, and the cap in its photo, where a bald crown is then no hair.

    Args:
        view: the cap in the photo.
        rise: of the shell, mm.
    """
    cap, sight = view.cap, _Sight.of(view, view.points + rise[:, None] * view.outward)
    seen, scalp = sight.seen, cap.over_short > 0
    skin_like = _like_skin(sight.color, seen * (1 - sight.share) * (cap.over_short < BROW_SKIN))
    hairy = sight.share * (1 - skin_like(sight.color))
    beside = scalp & (np.abs(cap.angle) > WREATH) & (cap.height < WREATH_TOP)

    def under_hair(where: Bool[ndarray, " N"], least: float) -> bool:
        enough = least * max(float(seen[where].sum()), LEAST_SCALP * int(where.sum()))
        return float(seen[where] @ hairy[where]) >= enough

    if under_hair(scalp, LEAST_HAIR):
        return Growth.FULL, view
    if under_hair(beside, LEAST_WREATH):
        return Growth.WREATH, replace(view, look=view.look.without(skin_like))
    return Growth.NONE, view


def _sides(
    cap: HairCap, off: Float[ndarray, " N"], seen: Float[ndarray, " N"], share: Float[ndarray, " N"]
) -> list["_Side"]:
    """Both sides, left and right; one that the photo hardly shows is as the other."""
    sides = [
        _side(cap, side * cap.angle > 0, around & (off > OUT), seen, share)
        for side, around in zip((1.0, -1.0), cap.ears, strict=True)
    ]
    better = max(sides, key=lambda side: side.told)
    return [
        side
        if side.told > SIDE_TOLD * better.told
        else replace(better, mine=side.mine, ear=side.ear, told=side.told, bare=False)
        for side in sides
    ]


def _hung(
    view: HairView, points: Float[ndarray, "N 3"], like: ColorTest, sides: list["_Side"]
) -> tuple[Curtain | None, list["_Side"]]:
    """The shell as it hangs, and what that makes of the sides.

    On a side whose ear is not seen bare hair hangs as on the other, if it is not seen to hang.
    """
    upright = Upright.of(view)
    falls = []
    for row, way in enumerate((1.0, -1.0)):
        fall, side = fall_beside(view, upright, like, way), sides[row]
        if fall is None and side.hides:
            if side.end > LONGEST_BOB:
                fall = Fall.straight(side.end)
            else:  # clothes, or the shade of a neck
                sides[row] = replace(side, hides=False, end=side.middle)
        falls.append(None if side.bare else fall)
    for row, side in enumerate(sides):
        fall = falls[row] or (None if side.bare else falls[1 - row])
        if fall is not None:
            falls[row], sides[row] = fall, replace(side, hides=True, end=min(side.end, fall.end))
    return curtain(upright, points, (falls[0], falls[1])), sides


@dataclass(frozen=True)
class _Side:
    """One side of a head.

    Attributes:
        mine: its vertices.
        ear: those of the ear itself.
        end: height (mm above the brows) down to which hair hangs.
        middle: height of the ear's middle, and two slices more: hair that ends there was seen to reach it.
        hides: whether the ear lies under hair.
        bare: whether it is seen without hair.
        told: vertices beside the face that were seen.
    """

    mine: Bool[ndarray, " N"]
    ear: Bool[ndarray, " N"]
    end: float
    middle: float
    hides: bool
    bare: bool
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
    hairy = float(seen[ear] @ share[ear]) / max(shown, 1e-6)
    hides = end < middle and shown > LEAST_EAR and hairy > HIDES
    bare = shown > LEAST_EAR and hairy < BARE
    return _Side(mine, ear, end, middle, hides, bare, float(seen[beside].sum()))


def _like_skin(color: Float[ndarray, "N 3"], skin: Float[ndarray, " N"]) -> ColorTest:
    """How far other colours are those of skin (weights) in any light: a bald crown is easily taken for hair."""
    if skin.max() < SKIN_SEEN:
        return lambda colors: np.zeros(len(colors))
    typical = _typical(color, skin)

    def test(colors: Float[ndarray, "M 3"]) -> Float[ndarray, " M"]:
        tone, hue = _away_from(colors, typical)
        return (1 - ramp(tone, SKIN_BRIGHTER)) * (1 - ramp(-tone, SKIN_DARKER)) * (1 - ramp(hue, SKIN_HUE))

    return test


def _like(color: Float[ndarray, "N 3"], hair: Float[ndarray, " N"]) -> ColorTest:
    """How far other colours can be those of the hair (weights): what hangs beside a face may be a wall."""
    typical = _typical(color, hair)

    def test(colors: Float[ndarray, "M 3"]) -> Float[ndarray, " M"]:
        tone, hue = _away_from(colors, typical)
        odd = np.maximum(ramp(tone, BRIGHTER), ramp(-tone, DARKER))
        return (1 - odd) * (1 - ramp(hue, OTHER_HUE))

    return test


def _rather(
    color: Float[ndarray, "N 3"],
    hair: Float[ndarray, " N"],
    skin: Float[ndarray, " N"],
    background: Float[ndarray, "B 3"],
) -> ColorTest:
    """Whether other colours are nearer to the hair's than to those of the skin (weights) and the background."""
    own, others = (np.log(each + DARK) for each in (_strongest(color, hair), background))
    if skin.max() > SKIN_SEEN:
        others = np.concatenate([others, np.log(_strongest(color, skin) + DARK)])
    if not len(others):
        return lambda colors: np.ones(len(colors))
    trees = [KDTree(_toned(each)) for each in (own, others)]

    def test(colors: Float[ndarray, "M 3"]) -> Float[ndarray, " M"]:
        places = _toned(np.log(colors + DARK))
        near, far = (
            tree.query(places, k=min(ALIKE, tree.n))[0].reshape(len(places), -1)[:, -1] for tree in trees
        )
        return (near < RATHER * (far + ALIKE_STEP)).astype(float)

    return test


def _strongest(color: Float[ndarray, "N 3"], weight: Float[ndarray, " N"]) -> Float[ndarray, "M 3"]:
    return color[weight > 0.5 * weight.max()]


def _toned(logs: Float[ndarray, "N 3"]) -> Float[ndarray, "N 4"]:
    """Logarithms of colours with a hue that counts more than the tone."""
    tone = logs.mean(1, keepdims=True)
    return np.concatenate([tone, HUE_COUNTS * (logs - tone)], axis=1)


def _typical(color: Float[ndarray, "N 3"], weight: Float[ndarray, " N"]) -> Float[ndarray, "3"]:
    """Median logarithm of the colours with the largest weights."""
    return np.median(np.log(color + DARK)[weight > 0.5 * weight.max()], axis=0)


def _away_from(
    color: Float[ndarray, "N 3"], typical: Float[ndarray, "3"]
) -> tuple[Float[ndarray, " N"], Float[ndarray, " N"]]:
    """Deviations (log) of tone and of hue from a typical colour's logarithm."""
    away = np.log(color + DARK) - typical
    tone = away.mean(1)
    return tone, np.abs(away - tone[:, None]).max(1)


def _carried_on(
    view: HairView, seen: Float[ndarray, " N"], share: Float[ndarray, " N"], growth: Growth
) -> Float[ndarray, " N"]:
    """Smooth on from what is seen, towards short hair or a wreath of it."""
    cap, rows = view.cap, view.cap.samples
    habit = 1 / (1 + np.exp(-cap.over_short / LINE_SOFT))
    if growth is Growth.WREATH:
        habit *= ramp(-cap.height, (-BALD[0], -BALD[1]))
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
    view: HairView, head: Float[ndarray, "N 3"], hidden: Bool[ndarray, " N"], rise: Float[ndarray, " N"]
) -> Float[ndarray, " N"]:
    """The shell, lifted smoothly over the part of an ear that it hides.

    An ear bends over: what lies nearest below it is not where its skin grows.
    """
    if not hidden.any():
        return rise
    ear = head[hidden]
    below = np.asarray(KDTree(view.points).query(ear, k=UNDER)[1])
    stands = ((ear[:, None] - view.points[below]) * view.outward[below]).sum(-1) + ROOM
    lacks = np.zeros(len(rise))
    np.maximum.at(lacks, below, stands - rise[below])
    rows = np.flatnonzero(lacks > 0)
    if not len(rows):
        return rise
    away, nearest = (
        np.asarray(each) for each in KDTree(view.points[rows]).query(view.points, k=min(UNDER, len(rows)))
    )
    wide = np.where(away < REACH, lacks[rows][nearest], 0.0).reshape(len(rise), -1).max(1)
    return rise + np.maximum(view.cap.smoothed(wide, EAR_ROUNDS), lacks)
