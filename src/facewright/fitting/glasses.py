"""The shape of spectacles from where a photo shows them: a parametric pair, fitted to what the network saw.

The network says of each pixel whether it shows a rim, a lens or neither; what it takes for either is
compared with the inside of the fitted outline on the bent front before the eyes. The energy, in units of
variance, is ``sum_i w_i (sigmoid(d_i / s) - p_i)^2 / v + sum_k ((x_k - m_k) / s_k)^2`` over places ``i`` of
the front, with ``d`` the distance inside the outline, ``p`` the share of rims and lenses that is seen there
and ``w`` whether it can be seen. It is minimised by Levenberg-Marquardt steps; derivatives are differences.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from facewright.detection.glasses_look import CLASSES, GlassesLook, band_from_photo
from facewright.models.glasses import BEFORE, SIDES, GlassesSeat, GlassesShape
from facewright.scene.camera import Camera
from facewright.scene.pose import Pose

RIM, BAR, LENS, DARK = (CLASSES.index(name) for name in ("rim", "bar", "lens", "dark"))
STEP = 2.0  # mm between places of the front
ACROSS, UP = (-70.0, 70.0), (-38.0, 26.0)  # mm that they reach
SOFT = 1.0  # mm over which the outline is soft
NOISE = 0.4  # of a place's share: what the network gets wrong, and neighbours alike
LEAST_FACING = 0.25  # cosine from which on a place of the front is seen well
ROUNDS = 14
TINY = 1e-3  # step of the differences
# Standard deviations of the numbers among pairs that opticians sell, and of how they are worn.
SPREAD = GlassesShape(
    width=3.0,
    height=4.5,
    upper=1.2,
    lower=1.0,
    taper=0.06,
    slant=0.05,
    lean=0.07,
    apart=1.7,
    right=1.2,
    up=3.5,
    before=2.0,
    roll=0.03,
)
LOWEST = GlassesShape(17.0, 9.0, 1.7, 1.7, -0.15, -0.12, -0.35, 25.0, -6.0, -20.0, 8.0, -0.12)
HIGHEST = GlassesShape(34.0, 30.0, 7.0, 6.0, 0.35, 0.3, 0.25, 44.0, 6.0, 8.0, 20.0, 0.12)
# Least of what a pair must have to be believed; scripts/evaluate_glasses.py measures them.
LEAST_MASS = 0.25  # share of the prior's lenses that looks like spectacles at all
LEAST_OVERLAP = 0.7
LEAST_SIDE = 0.45  # share of each lens that is seen...
LEAST_FAR = 0.2  # ... and of the further one of a turned head
TURNED = 0.5  # sine of the angle from which on a head is turned


@dataclass(frozen=True)
class GlassesFit:
    """Spectacles that were fitted to one photo.

    Attributes:
        shape: of the pair.
        overlap: intersection over union of the fitted pair and what the network saw.
        sides: share of the right and of the left lens that the network saw; 1 for one that is hidden.
        far: which of them is the further one of a turned head, or None.
    """

    shape: GlassesShape
    overlap: float
    sides: tuple[float, float]
    far: int | None = None

    @property
    def seen(self) -> bool:
        """Whether the photo shows enough of both lenses."""
        least = [LEAST_FAR if row == self.far else LEAST_SIDE for row in (0, 1)]
        return all(share >= bound for share, bound in zip(self.sides, least, strict=True))

    @property
    def sure(self) -> bool:
        """Whether the photo surely shows them."""
        return self.overlap >= LEAST_OVERLAP and self.seen


@dataclass(frozen=True)
class _Seen:
    """Places of the front (mm from the eyes' middle), how much of a pair is seen there, and their weights."""

    across: Float[ndarray, " N"]
    up: Float[ndarray, " N"]
    share: Float[ndarray, " N"]
    weight: Float[ndarray, " N"]


def fit_glasses(look: GlassesLook, seat: GlassesSeat, pose: Pose, camera: Camera) -> GlassesFit | None:
    """Fit a pair to what a photo shows of one; None where it shows hardly any.

    Args:
        look: at the photo.
        seat: of the fitted head.
        pose: of the head, B = 1.
        camera: of the photo.
    """
    usual = replace(GlassesShape(), apart=0.5 * float(np.linalg.norm(seat.eyes[1] - seat.eyes[0])) + 1.0)
    seen = _seen(look, seat, pose, camera, BEFORE)
    inner = usual.inside(*usual.of_lens(seen.across, seen.up)) > 0
    if not _mean(seen.share, seen.weight * inner) >= LEAST_MASS:
        return None
    free = np.array([each.name != "before" for each in fields(GlassesShape)])
    numbers = _descend(_begun(usual, seen).numbers, usual.numbers, seen, free)
    shape = GlassesShape.of(numbers)
    before = _before(shape, usual, pose)
    if abs(before - BEFORE) > 0.5:  # a turned head shows how far forward they sit
        seen = _seen(look, seat, pose, camera, before)
        start = replace(shape, before=before, right=0.0).numbers
        shape = GlassesShape.of(_descend(start, replace(usual, before=before).numbers, seen, free))
    away = camera_from(pose)[0] - seat.middle[0]
    sine = away / float(np.linalg.norm(camera_from(pose) - seat.middle))
    return _judged(shape, seen, None if abs(sine) < TURNED else int(sine < 0))


def _seen(look: GlassesLook, seat: GlassesSeat, pose: Pose, camera: Camera, before: float) -> _Seen:
    axes = (np.arange(low, high + STEP, STEP) for low, high in (ACROSS, UP))
    across, up = (each.ravel() for each in np.meshgrid(*axes))
    places = seat.bent(np.stack([across, up], 1), before)
    pixels = project(places, pose, camera)
    shares = look.at(pixels)
    share = shares[:, [RIM, LENS, DARK]].sum(1)
    height, width = camera.size
    unit = band_from_photo(pixels, look.frame)
    inside = ((unit > 0.01) & (unit < 0.99)).all(1)
    inside &= ((pixels > 0) & (pixels < [width, height])).all(1)
    return _Seen(across, up, share, inside * facing(places, seat, pose))


def project(places: Float[ndarray, "N 3"], pose: Pose, camera: Camera) -> Float[ndarray, "N 2"]:
    """Pixels of places in the head frame (mm)."""
    points = pose.camera_from_head(torch.from_numpy(places).to(pose.translation)[None])
    return camera.project(points)[0, :, :2].detach().double().cpu().numpy()


def facing(places: Float[ndarray, "N 3"], seat: GlassesSeat, pose: Pose) -> Float[ndarray, " N"]:
    """How well places of the front are seen: 0 edge on or behind the nose's bridge, 1 from before."""
    way = camera_from(pose) - places
    way /= np.linalg.norm(way, axis=1, keepdims=True).clip(1e-9)
    normal = np.stack([(places[:, 0] - seat.middle[0]) / 170.0, np.full(len(places), -0.14)], 1)
    normal = np.concatenate([normal, np.ones((len(places), 1))], 1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    cosine = (normal * way).sum(1)
    # Of a head that is turned, the nose hides the part of the further lens that is next to it.
    beyond = (places[:, 0] - seat.middle[0]) * np.sign(-way[:, 0]) > 0
    hidden = beyond & (np.abs(way[:, 0]) > 0.6)
    return np.clip(cosine / LEAST_FACING - 1, 0, 1) * np.where(hidden, 0.3, 1.0)


def camera_from(pose: Pose) -> Float[ndarray, "3"]:
    """Where the camera is, mm, head frame."""
    rotation, translation = (
        each[0].detach().double().cpu().numpy() for each in (pose.rotation, pose.translation)
    )
    return -rotation.T @ translation


def _mean(values: Float[ndarray, " N"], weights: Float[ndarray, " N"]) -> float:
    total = float(weights.sum())
    return float((values * weights).sum()) / total if total > 0 else 0.0


def _begun(usual: GlassesShape, seen: _Seen) -> GlassesShape:
    """The usual shape, moved and scaled to what is seen."""
    out, _ = usual.of_lens(seen.across, seen.up)
    mass = seen.share * seen.weight * (np.abs(out) < 1.6 * usual.width)
    if mass.sum() < 1:
        return usual
    up, outward = _mean(seen.up, mass), _mean(out, mass)
    tall = 1.9 * np.sqrt(_mean((seen.up - up) ** 2, mass))
    wide = 1.8 * np.sqrt(_mean((out - outward) ** 2, mass))
    return replace(
        usual,
        up=float(np.clip(up, LOWEST.up, HIGHEST.up)),
        height=float(np.clip(tall, LOWEST.height, HIGHEST.height)),
        width=float(np.clip(wide, LOWEST.width, HIGHEST.width)),
        apart=float(np.clip(usual.apart + outward, LOWEST.apart, HIGHEST.apart)),
    )


def _residuals(numbers: Float[ndarray, " P"], seen: _Seen) -> Float[ndarray, " N"]:
    shape = GlassesShape.of(numbers)
    inside = shape.inside(*shape.of_lens(seen.across, seen.up))
    covered = 1 / (1 + np.exp(-np.clip(inside / SOFT, -30, 30)))
    return np.sqrt(seen.weight) * (covered - seen.share) / NOISE


def _descend(
    start: Float[ndarray, " P"], usual: Float[ndarray, " P"], seen: _Seen, free: ndarray
) -> Float[ndarray, " P"]:
    """Levenberg-Marquardt steps within the bounds."""
    spread, low, high = SPREAD.numbers, LOWEST.numbers, HIGHEST.numbers
    chosen, damping, numbers = np.flatnonzero(free), 1e-2, start.clip(low, high)

    def cost(at: Float[ndarray, " P"], residual: Float[ndarray, " N"]) -> float:
        return float((residual**2).sum() + (((at - usual) / spread)[chosen] ** 2).sum())

    residual = _residuals(numbers, seen)
    best = cost(numbers, residual)
    for _ in range(ROUNDS):
        slopes = []
        for row in chosen:
            moved = numbers.copy()
            moved[row] += TINY * spread[row]
            slopes.append((_residuals(moved, seen) - residual) / TINY)
        slope = np.stack(slopes, 1)  # by standard deviations
        away = ((numbers - usual) / spread)[chosen]
        normal, descent = slope.T @ slope + np.eye(len(chosen)), -(slope.T @ residual + away)
        while damping < 1e4:
            step = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), descent)
            trial = numbers.copy()
            trial[chosen] = (numbers[chosen] + step * spread[chosen]).clip(low[chosen], high[chosen])
            tried = _residuals(trial, seen)
            value = cost(trial, tried)
            if value < best:
                break
            damping *= 8
        else:
            return numbers
        done = best - value < 1e-3 * best
        numbers, residual, best, damping = trial, tried, value, damping / 5
        if done:
            break
    return numbers


def _before(shape: GlassesShape, usual: GlassesShape, pose: Pose) -> float:
    """Mm before the eyes that explain, with the least surprise, a pair that seems moved to the side.

    On a head that is turned by an angle, a mm forward looks like its tangent to the side.
    """
    forward = pose.rotation[0, :, 2].detach().double().cpu().numpy()
    right = pose.rotation[0, :, 0].detach().double().cpu().numpy()
    tangent = float(np.clip(forward[0] / max(abs(right[0]), 0.2) * np.sign(right[0]), -2, 2))
    aside, ahead = SPREAD.right**2, (SPREAD.before * tangent) ** 2
    share = ahead / (aside + ahead)
    moved = shape.right * share / tangent if abs(tangent) > 0.1 else 0.0
    return float(np.clip(usual.before + moved, LOWEST.before, HIGHEST.before))


def _judged(shape: GlassesShape, seen: _Seen, far: int | None) -> GlassesFit:
    inside = shape.inside(*shape.of_lens(seen.across, seen.up))
    covered = 1 / (1 + np.exp(-np.clip(inside / SOFT, -30, 30)))
    both = (np.minimum(covered, seen.share) * seen.weight).sum()
    either = (np.maximum(covered, seen.share) * seen.weight).sum()
    sides = []
    for side in SIDES:
        weight = seen.weight * (covered > 0.5) * (side * (seen.across - shape.right) > 0)
        hidden = weight.sum() < 0.2 * (covered > 0.5).sum() / 2
        sides.append(1.0 if hidden else _mean(seen.share, weight))
    return GlassesFit(shape, float(both / max(either, 1e-9)), (sides[0], sides[1]), far)
