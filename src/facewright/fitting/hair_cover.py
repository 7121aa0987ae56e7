"""Which part of a cap lies under hair: what the photo shows of it, and what goes on from there unseen."""

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.spatial import KDTree

from facewright.detection.hair_look import of_the_head
from facewright.fitting.hair_colors import ColorTest, like, like_skin, ramp, rather
from facewright.fitting.hair_fall import Curtain, Fall, Upright, curtain, fall_beside
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
CLOSED = 0.15  # share of hair around such an ear that is no hole
BROW_SKIN = -8.0  # mm above the line of short hair: below, skin is asked for its colour
# Share of the scalp that is seen with which it is surely hairy; share of its sides with which a crown
# below that is bald; and shares of both with which it is fair or grey hair. Of 30 synthetic bald heads
# none has more than 0.2 and 0.78; of 40 with hair 39 have at least 0.38, and 39 at least 0.23. Of two
# bald portraits one has 0.39 and 0.24, the other 0.26 and 0.6.
LEAST_HAIR, LEAST_WREATH, LEAST_FAIR = 0.45, 0.8, (0.34, 0.35)
WREATH, WREATH_TOP = np.radians(60.0), 40.0  # sides: radians from the front, mm above the brows
BALD = (70.0, 45.0)  # mm above the brows between which a wreath of hair begins
SIDE_TOLD = 0.25  # of what is seen on the better side, that a side is judged by itself
LOBE = 15.0  # mm of an ear that lie below what hides it, and are hidden with it
HIDES, BARE = 0.6, 0.4  # shares of hair on an ear with which it lies under hair, and free
LONGEST_BOB = -95.0  # mm above the brows: what reaches lower was followed down
BELOW = (-8.0, 4.0)  # mm around its end
LEAST_SEEN, LEAST_EAR = 0.5, 0.5  # vertices of a slice, and of an ear, that tell
OUT = 1.5  # mm off the smooth skin: the ear itself
REACH = 8.0  # mm around an ear over which the shell is lifted above it...
NEAR_EAR = 25.0  # mm around it that places below it are sought
UNDER = 12  # ... and places below each of its vertices that are asked
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

    def hair(self, cap: HairCap, alike: ColorTest) -> Float[ndarray, " N"]:
        """Share of hair; below the line of short hair, of its colour."""
        return np.where(cap.over_short > 0, self.share, self.share * alike(self.color))


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
    off = ((head - view.points) * view.outward).sum(1)
    sight = _Sight.of(view, points)
    hair = sight.seen * sight.share * scalp
    alike = like(sight.color, hair)
    skin = sight.seen * (1 - sight.share) * (cap.over_short < BROW_SKIN)
    own = rather(sight.color, hair, skin, view.look.background())
    sides = _sides(cap, off, sight.seen, sight.hair(cap, alike))
    hung, sides = _hung(view, points, lambda colors: alike(colors) * own(colors), sides)
    if hung is not None:
        sight = _Sight.of(view, hung.points)
    cover = _covered(view, sight, sight.hair(cap, alike), hung, growth)
    cover, hides = _around_ears(cap, cover, sides, hung)
    if growth is Growth.WREATH:
        cover = cover * ramp(-cap.height, (-BALD[0], -BALD[1]))
    cover = cap.smoothed(cover, SOFT_ROUNDS)
    # Its ends lie on the skin, or one would look between both; a hairline has some height all the same.
    within = cap.smoothed(cover, TUCK_ROUNDS)
    rise = np.maximum(rise * ramp(within, TUCKED), THICK * ramp(within, (0.5, 1.0)))
    rise = _above_skin(view, rise, head, hides, cover) + LEAST_RISE
    points = view.points + rise[:, None] * view.outward
    if hung is not None:
        points = points + hung.share[:, None] * (hung.points - points)
        rise = ((points - view.points) * view.outward).sum(1)
        points = points + (_above_skin(view, rise, head, hides, cover) - rise)[:, None] * view.outward
    return points, cover


def _covered(
    view: HairView,
    sight: _Sight,
    share: Float[ndarray, " N"],
    hung: Curtain | None,
    growth: Growth,
) -> Float[ndarray, " N"]:
    """Share of hair as it is seen, and as it goes on from there."""
    unseen = _carried_on(view, sight.seen, share, growth)
    if hung is not None:
        unseen = np.maximum(unseen, hung.share * ramp(hung.above, BELOW))
    return sight.seen * share + (1 - sight.seen) * unseen


def _around_ears(
    cap: HairCap, cover: Float[ndarray, " N"], sides: list["_Side"], hung: Curtain | None
) -> tuple[Float[ndarray, " N"], list[Bool[ndarray, " N"]]]:
    """The cover, down to the ends of both sides and over or behind their ears; and what it hides of them."""
    above = -np.inf if hung is None else np.where(hung.share > 0, hung.above, -np.inf)
    hides = []
    for side, around in zip(sides, cap.ears, strict=True):
        within = np.maximum(np.maximum(cap.over_short, cap.height - side.end), above)
        cover = np.where(side.mine, cover * ramp(within, BELOW), cover)
        ear, low = side.ear, side.end - LOBE
        if side.hides:
            hides.append(ear & (cap.height > low))
            closed = around & (cap.height > low) & (cover > CLOSED)
            laid = cap.smoothed((hides[-1] | closed).astype(float), EAR_ROUNDS)  # ears have a fine mesh
            cover = np.maximum(np.where(ear, 0.0, cover), laid)
            continue
        before = around & (cap.over_short < 0)
        if side.end < side.middle:  # hair hangs behind it
            before &= np.abs(cap.angle) < np.median(np.abs(cap.angle[ear]))
        cover = np.where(ear | before, 0.0, cover)
    return cover, hides


def _above_skin(
    view: HairView,
    rise: Float[ndarray, " N"],
    head: Float[ndarray, "N 3"],
    hides: list[Bool[ndarray, " N"]],
    cover: Float[ndarray, " N"],
) -> Float[ndarray, " N"]:
    """The shell (mm off the cap) above hidden ears, and above skin that stands out of the cap around them."""
    for hidden in hides:
        rise = _over(view, head, hidden, rise)
    off = ((head - view.points) * view.outward).sum(1)
    return np.where(cover > CLOSED, np.maximum(rise, off + ROOM), rise)


def judge_growth(view: HairView, rise: Float[ndarray, " N"]) -> tuple[Growth, HairView]:
    """Where hair grows on a head, and the cap in its photo, where a bald crown is then no hair.

    Args:
        view: the cap in the photo.
        rise: of the shell, mm.
    """
    cap, sight = view.cap, _Sight.of(view, view.points + rise[:, None] * view.outward)
    seen, scalp = sight.seen, cap.over_short > 0
    skin_like = like_skin(sight.color, seen * (1 - sight.share) * (cap.over_short < BROW_SKIN))
    hairy = sight.share * (1 - skin_like(sight.color))
    beside = scalp & (np.abs(cap.angle) > WREATH) & (cap.height < WREATH_TOP)

    whole, sides = (
        float(seen[where] @ hairy[where]) / max(float(seen[where].sum()), LEAST_SCALP * int(where.sum()))
        for where in (scalp, beside)
    )
    if whole < LEAST_HAIR and sides >= LEAST_WREATH:
        return Growth.WREATH, replace(view, look=view.look.without(skin_like))
    fair = whole >= LEAST_FAIR[0] and sides >= LEAST_FAIR[1]
    return Growth.FULL if fair or whole >= LEAST_HAIR else Growth.NONE, view


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
    room = np.array([ear.min(0) - NEAR_EAR, ear.max(0) + NEAR_EAR])
    near = np.flatnonzero(((view.points > room[0]) & (view.points < room[1])).all(1))
    below = near[np.asarray(KDTree(view.points[near]).query(ear, k=UNDER)[1])]
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
