"""Hair that hangs beside and behind a head: how far down and how wide a photo shows it, and its curtain.

**Source:** none of the papers. From where it leaves the head hair falls straight down, as wide at the sides
as the photo shows it and a little narrower behind, to the same height all around.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.ndimage import gaussian_filter1d

from facewright.detection.hair_look import connected_pieces, of_the_head
from facewright.fitting.hair_colors import ColorTest, ramp
from facewright.fitting.hair_view import HairView

FROM = -10.0  # mm above the brows: hair that hangs leaves the head there
SLICE = 12.0  # mm of height around it
TOP, LOWEST, STEP = 30.0, -202.0, 5.0  # mm above the brows that hair is followed down
WIDEST, COLUMN = 165.0, 3.5  # mm beside the head's middle, and between the places that are looked at
HANGS = 0.55  # share of hair that is seen hanging
LEAST_WIDE, LEAST_FALL = 10.0, 35.0  # mm of hair beside the face, and below where it leaves the head
WIDER = 15.0  # mm that it may be wider than just above
SMOOTH = 2.0  # steps, of its width
NARROWER, BROADER = 0.75, 1.45  # least and largest width, relative to that where it leaves the head
BEHIND, CLOSER = 0.5, 30.0  # of the height fallen, by which it comes closer to the nape, and mm at most
OFF_SKIN = 5.0  # mm
ONSET = (FROM + 16.0, FROM - 34.0)  # mm above the brows between which the shell becomes a curtain
BESIDE = (np.radians(66.0), np.radians(84.0))  # angles from the front between which it does, too
OVERHANG = 8.0  # mm of the cap's lower rim that stay below the hair's end
MOST_STRETCH = 2.0
SECTORS = 36  # around, in which the width of a head is measured


@dataclass(frozen=True)
class Fall:
    """How hair hangs on one side.

    Attributes:
        end: mm above the brows, where it ends.
        height: mm above the brows of some places, increasing.
        wide: at them, relative to where it leaves the head.
    """

    end: float
    height: Float[ndarray, " H"]
    wide: Float[ndarray, " H"]

    @classmethod
    def straight(cls, end: float) -> "Fall":
        """Hair that is as wide everywhere as where it leaves the head."""
        return cls(end, np.array([end]), np.array([1.0]))


@dataclass(frozen=True)
class Curtain:
    """A cap that hangs.

    Attributes:
        points: where its vertices then are, mm, head frame.
        share: how far each of them is part of the curtain, 0 to 1.
        above: mm that each lies above the end of the hair.
    """

    points: Float[ndarray, "N 3"]
    share: Float[ndarray, " N"]
    above: Float[ndarray, " N"]


@dataclass(frozen=True)
class Upright:
    """The vertical axis of a head.

    Attributes:
        middle: of the head at the height of the brows, mm, head frame.
        height: of the cap's vertices above the brows, mm.
        angle: around it, radians from the front, positive on the left.
        radius: mm off it, of the skin.
    """

    middle: Float[ndarray, "3"]
    height: Float[ndarray, " N"]
    angle: Float[ndarray, " N"]
    radius: Float[ndarray, " N"]

    @classmethod
    def of(cls, view: HairView) -> "Upright":
        """The axis in the middle between temples and the back of a head."""
        points = view.points
        brow = float(np.median(points[:, 1] - view.cap.height))
        height = points[:, 1] - brow
        depth = points[np.abs(height) < SLICE, 2]
        middle = np.array([0.0, brow, 0.5 * (depth.min() + depth.max())])
        away = points - middle
        return cls(middle, height, np.arctan2(away[:, 0], away[:, 2]), np.hypot(away[:, 0], away[:, 2]))


def fall_beside(view: HairView, upright: Upright, like: ColorTest, side: float) -> Fall | None:
    """Follow the hair beside a face down in the photo.

    Args:
        view: the cap in the photo.
        upright: the head's axis.
        like: the colours of its hair.
        side: 1 for the subject's left, -1 for the right.

    Returns:
        The hair, or None where none hangs.
    """
    height, aside = np.arange(TOP, LOWEST - STEP, -STEP), np.arange(0.0, WIDEST, COLUMN)
    points = upright.middle + side * aside[:, None] * view.across() + height[:, None, None] * [0.0, 1.0, 0.0]
    pixels = view.at(points.reshape(-1, 3))[1]
    beyond, hair, known = view.look.at(pixels)
    share = of_the_head(hair, beyond) * (1 - beyond) * known
    hangs = (share * like(view.look.color(pixels)) > HANGS).reshape(len(height), -1)
    leaves = (share > HANGS).reshape(len(height), -1) & (height >= FROM)[:, None]
    edge = _outer_edge(hangs | leaves, height)
    first = float(np.median(edge[height >= FROM]))
    last = int((edge > 0).cumprod().sum()) - 1
    if first <= 0 or height[last] > FROM - LEAST_FALL:
        return None
    edge[last:] = edge[last]
    edge = gaussian_filter1d(edge, SMOOTH, mode="nearest")
    return Fall(float(height[last]), height[::-1], (edge / first).clip(NARROWER, BROADER)[::-1])


def _outer_edge(hair: Bool[ndarray, "H X"], height: Float[ndarray, " H"]) -> Float[ndarray, " H"]:
    """How far aside (mm) hair that hangs together with what leaves the head reaches, by height; 0: none."""
    pieces, _ = connected_pieces(hair)
    leaving = np.unique(pieces[height >= FROM])
    own = np.isin(pieces, leaving[leaving > 0])
    edge, most = np.zeros(len(height)), WIDEST
    for row in range(len(height)):
        columns = np.flatnonzero(own[row, : int(most / COLUMN)])
        if len(columns) * COLUMN >= LEAST_WIDE:
            edge[row] = (columns[-1] + 1) * COLUMN
        if height[row] < FROM:
            most = edge[row] + WIDER
    return edge


def curtain(
    upright: Upright, points: Float[ndarray, "N 3"], falls: tuple[Fall | None, Fall | None]
) -> Curtain | None:
    """Let a shell hang.

    Args:
        upright: the head's axis.
        points: of the shell, mm, head frame.
        falls: on the left and on the right.

    Returns:
        None where no hair hangs.
    """
    sides = [fall for fall in falls if fall is not None]
    if not sides:
        return None
    left, right = (fall or sides[0] for fall in falls)
    height, angle = upright.height, upright.angle
    to_left = 0.5 + 0.5 * np.sin(angle)
    behind = np.where(np.abs(angle) > 0.5 * np.pi, np.cos(angle) ** 2, 0.0)
    end = to_left * left.end + (1 - to_left) * right.end
    end += behind * (max(left.end, right.end) - end)  # the nape shows no longer hair than the sides do
    # Where long hair hangs below the cap, the cap's lower part is stretched.
    lowest = height.min() + OVERHANG
    longer = np.minimum((end - FROM) / (lowest - FROM), MOST_STRETCH).clip(1)
    fallen = np.where(height < FROM, FROM + (height - FROM) * longer, height)
    wide = np.where(angle > 0, _at(left, fallen), _at(right, fallen))
    radius = _leaving(upright, points)
    narrow = 1 - (BEHIND * (FROM - fallen)).clip(0, CLOSER) / radius
    radius = np.maximum(radius * ((1 - behind) * wide + behind * narrow), upright.radius + OFF_SKIN)
    hangs = to_left * (falls[0] is not None) + (1 - to_left) * (falls[1] is not None)
    share = ramp(hangs, (0.3, 0.7)) * ramp(np.abs(angle), BESIDE) * ramp(-height, (-ONSET[0], -ONSET[1]))
    hung = np.stack([radius * np.sin(angle), fallen, radius * np.cos(angle)], 1) + upright.middle
    return Curtain(points + share[:, None] * (hung - points), share, fallen - end)


def _at(fall: Fall, height: Float[ndarray, " N"]) -> Float[ndarray, " N"]:
    return np.interp(height, fall.height, fall.wide)


def _leaving(upright: Upright, points: Float[ndarray, "N 3"]) -> Float[ndarray, " N"]:
    """How far (mm) off the axis a shell is at the angle of each vertex where hair leaves the head."""
    away = points - upright.middle
    around = np.abs(upright.height - FROM) < SLICE
    radius, angle = np.hypot(away[:, 0], away[:, 2])[around], upright.angle[around]
    middles = (np.arange(SECTORS) + 0.5) * 2 * np.pi / SECTORS - np.pi
    sector = ((angle + np.pi) / (2 * np.pi) * SECTORS).astype(int).clip(0, SECTORS - 1)
    there = np.bincount(sector, minlength=SECTORS) > 0
    mean = np.bincount(sector, radius, SECTORS)[there] / np.bincount(sector, minlength=SECTORS)[there]
    return np.interp(upright.angle, middles[there], mean, period=2 * np.pi)
