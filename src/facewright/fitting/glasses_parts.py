"""What the frame of fitted spectacles is like: how thick, where there is a rim at all, and which colours."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.ndimage import gaussian_filter1d, median_filter

from facewright.detection.glasses_look import CLASSES, GlassesLook
from facewright.fitting.glasses import facing, project
from facewright.image.color import linear_from_srgb
from facewright.models.glasses import SIDES, GlassesSeat, GlassesShape
from facewright.models.glasses_mesh import ANGLES, RIM, GlassesParts
from facewright.scene.camera import Camera
from facewright.scene.pose import Pose

RIM_CLASS, BAR_CLASS, LENS_CLASS, DARK_CLASS = (CLASSES.index(n) for n in ("rim", "bar", "lens", "dark"))
STEP, INWARD, OUTWARD = 0.5, 6.0, 3.0  # mm across the edge in which the rim is looked for
LEAST_RIM = 0.45  # mm of rim across the edge: less is none
THICK = (0.4, 2.8)  # mm, half thickness of rims
ROUND = 1.5  # rings over which thickness is smoothed
ALL, SOME = 0.7, 0.5  # shares of the rings that have a full rim, and of the upper ones that have half of one
BARS = (0.55, 1.5)  # mm, half thickness of bridge and temples
DEEP = (0.7, 1.4)  # mm, half thickness from before to behind
LEAST_SHARE = 0.7  # of frame in a pixel: its colour is not told further from that of the skin beside it
COLORS_ROUND = 13  # rings whose median colour is taken
HIDDEN = 0.5  # share of dark lenses, from which on they hide the eyes
DARK = 0.3  # of the light of skin beside them that comes through: darker lenses hide the eyes as well
THROUGH, BESIDE = (0.6, 0.7, 0.8), (1.25, 1.35, 1.45)  # shares of the outline where skin is compared
LEAST_PLACES = 8
LENS_INNER = 0.75  # share of the outline in which a lens' colour is read
BRIDGE_REACH = 0.5  # of the height of a lens, about its middle, where the bridge is looked for


Seen = tuple[Pose, Camera]


@dataclass(frozen=True)
class GlassesFinish:
    """How one pair is built and coloured; colours are linear RGB as the photo shows them, light included.

    Attributes:
        parts: of the frame.
        rims: colour of each ring of the rims.
        bars: of bridge and temples.
        lens: of the lenses.
    """

    parts: GlassesParts
    rims: Float[ndarray, "R 3"]
    bars: Float[ndarray, "3"]
    lens: Float[ndarray, "3"]


@dataclass(frozen=True)
class _Band:
    """What is seen across the edges: one row a lens, its rings, and places from inward to outward."""

    shares: Float[ndarray, "2 R N K"]
    colors: Float[ndarray, "2 R N 3"]
    weight: Float[ndarray, "2 R"]


def glasses_finish(look: GlassesLook, shape: GlassesShape, seat: GlassesSeat, seen: Seen) -> GlassesFinish:
    """Look at the frame of fitted spectacles.

    Args:
        look: at the photo.
        shape: that was fitted.
        seat: of the head.
        seen: its pose and the photo's camera.
    """
    band = _across_edges(look, shape, seat, seen)
    weight = band.weight / band.weight.sum(0, keepdims=True).clip(1e-6)
    across = (band.shares[..., RIM_CLASS].sum(-1) * STEP * weight).sum(0)
    across = gaussian_filter1d(across, ROUND, mode="wrap")
    there = _style(across > LEAST_RIM)
    thick = np.where(there, across / 2, THICK[0]).clip(*THICK)
    usual = float(np.median(thick[there])) if there.any() else BARS[0]
    parts = GlassesParts(thick, there, float(np.clip(usual, *BARS)), float(np.clip(usual, *DEEP)))
    rims, bars = _frame_colors(look, band, shape, seat, seen)
    return GlassesFinish(parts, rims, bars, _lens_color(look, shape, seat, seen))


def _style(seen: Bool[ndarray, " R"]) -> Bool[ndarray, " R"]:
    """A full rim, its upper half, or none."""
    upper = np.sin(ANGLES) > 0
    if seen.mean() >= ALL:
        return np.ones(RIM, dtype=bool)
    if seen[upper].mean() >= SOME and seen[upper].mean() > seen[~upper].mean() + 0.2:
        return np.sin(ANGLES) > -0.05
    return np.ones(RIM, dtype=bool) if seen.mean() >= SOME else np.zeros(RIM, dtype=bool)


def _across_edges(look: GlassesLook, shape: GlassesShape, seat: GlassesSeat, seen: Seen) -> _Band:
    offsets = np.arange(-INWARD, OUTWARD + STEP / 2, STEP)
    edge = shape.outline(ANGLES)
    along = np.roll(edge, -1, 0) - np.roll(edge, 1, 0)
    along /= np.linalg.norm(along, axis=1, keepdims=True).clip(1e-9)
    outward = np.stack([along[:, 1], -along[:, 0]], 1)
    flat = (edge[:, None] + offsets[:, None] * outward[:, None]).reshape(-1, 2)
    shares, colors, weight = [], [], []
    for side in SIDES:
        places = seat.bent(shape.on_front(side, flat), shape.before)
        pixels = project(places, *seen)
        shares.append(look.at(pixels).reshape(RIM, len(offsets), -1))
        colors.append(_linear(look.color(pixels)).reshape(RIM, len(offsets), 3))
        weight.append(facing(places, seat, seen[0]).reshape(RIM, -1).mean(1) + 1e-3)
    return _Band(np.stack(shares), np.stack(colors), np.stack(weight))


def _linear(colors: Float[ndarray, "N 3"]) -> Float[ndarray, "N 3"]:
    return linear_from_srgb(torch.from_numpy(colors)).numpy()


def _frame_colors(
    look: GlassesLook, band: _Band, shape: GlassesShape, seat: GlassesSeat, seen: Seen
) -> tuple[Float[ndarray, "R 3"], Float[ndarray, "3"]]:
    """Of the rims' rings, and of bridge and temples."""
    rim = band.shares[..., RIM_CLASS]
    nothing = band.shares[..., 0] + 1e-3
    behind = (band.colors * nothing[..., None]).sum(2) / nothing.sum(2)[..., None]
    trust = rim**3 * band.weight[..., None]
    total = trust.sum((0, 2))
    shown = (band.colors * trust[..., None]).sum((0, 2)) / total.clip(1e-9)[:, None]
    share = (rim * trust).sum((0, 2)) / total.clip(1e-9)
    ground = behind.mean(0)
    rims = ground + (shown - ground) / share.clip(LEAST_SHARE, 1)[:, None]
    sure = total > 0.2 * np.median(total)
    overall = np.median(rims[sure], 0).clip(0, 1) if sure.any() else np.zeros(3)
    rims = np.where(sure[:, None], rims, overall)
    rims = median_filter(rims, (COLORS_ROUND, 1), mode="wrap")
    rims = gaussian_filter1d(rims, ROUND, axis=0, mode="wrap").clip(0, 1)
    bars = _bar_color(look, shape, seat, seen)
    return rims, overall if bars is None else bars


def _bar_color(
    look: GlassesLook, shape: GlassesShape, seat: GlassesSeat, seen: Seen
) -> Float[ndarray, "3"] | None:
    """Of the bridge, if it is seen."""
    reach = BRIDGE_REACH * shape.height
    axes = np.arange(-1, 1.01, 0.1) * (shape.apart - 0.5 * shape.width), np.arange(-reach, reach * 1.8, 0.5)
    places = np.stack([each.ravel() for each in np.meshgrid(*axes)], 1) + np.array([shape.right, shape.up])
    pixels = project(seat.bent(places, shape.before), *seen)
    shares, colors = look.at(pixels)[:, BAR_CLASS], _linear(look.color(pixels))
    sure = shares > LEAST_SHARE
    return np.median(colors[sure], 0) if sure.sum() >= 8 else None


def hides_eyes(look: GlassesLook, shape: GlassesShape, seat: GlassesSeat, seen: Seen) -> bool:
    """Whether the lenses are dark: the network says so, or hardly any skin is seen through them."""
    places, weight = _lens_places(shape, seat, seen)
    shares = [(look.at(each) * weight[row, :, None]).sum(0) for row, each in enumerate(places)]
    told = np.sum(shares, 0)
    dark = told[DARK_CLASS] > HIDDEN * (told[DARK_CLASS] + told[LENS_CLASS])
    return bool(dark and told[DARK_CLASS] > 0) or lens_light(look, shape, seat, seen) < DARK


def lens_light(look: GlassesLook, shape: GlassesShape, seat: GlassesSeat, seen: Seen) -> float:
    """How light the skin seen through the lower part of the lenses is, over that of the skin below them."""
    below = shape.outline(np.radians(np.arange(-150.0, -25.0, 5.0)))
    told: list[list[float]] = [[], []]
    for side in SIDES:
        for row, shares in enumerate((THROUGH, BESIDE)):
            flat = np.concatenate([below * share for share in shares])
            places = seat.bent(shape.on_front(side, flat), shape.before)
            pixels = project(places, *seen)
            light = _linear(look.color(pixels)).mean(1)
            sure = facing(places, seat, seen[0]) > 0.5
            sure &= look.at(pixels)[:, [RIM_CLASS, BAR_CLASS]].sum(1) < LEAST_SHARE / 2
            told[row] += light[sure].tolist()
    if min(len(each) for each in told) < LEAST_PLACES:
        return 1.0
    return float(np.median(told[0]) / max(np.median(told[1]), 1e-4))


def _lens_color(look: GlassesLook, shape: GlassesShape, seat: GlassesSeat, seen: Seen) -> Float[ndarray, "3"]:
    places, weight = _lens_places(shape, seat, seen)
    colors = np.concatenate([_linear(look.color(each)) for each in places])
    seen_well = weight.ravel() > 0.5
    return np.median(colors[seen_well], 0) if seen_well.any() else np.zeros(3)


def _lens_places(
    shape: GlassesShape, seat: GlassesSeat, seen: Seen
) -> tuple[Float[ndarray, "2 N 2"], Float[ndarray, "2 N"]]:
    """Pixels of the photo that show the right and the left lens, and how well they show them."""
    edge = shape.outline(ANGLES)
    flat = np.concatenate([edge * share for share in np.arange(0.15, LENS_INNER, 0.15)])
    both = [seat.bent(shape.on_front(side, flat), shape.before) for side in SIDES]
    pixels = np.stack([project(places, *seen) for places in both])
    return pixels, np.stack([facing(places, seat, seen[0]) for places in both])
