"""Glasses, hands, round things and clothes on a head."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from facewright.data.face_frame import FaceFrame
from facewright.data.props import Prop, capsule, closed_tube, grid_faces, joined, plain_prop, tube

RIM, RIM_SIDES, BAR, BAR_SIDES = 36, 6, 8, 5  # rings and sides of rims, of bridge and temples
RINGS, SIDES = 9, 10  # of fingers and round things
FINGERS = 6  # with thumb and palm
CLOTHES_ROWS, CLOTHES_COLUMNS = 11, 48
# Clothes, from the collar down: mm below the neck's end, half width and half depth beyond the collar.
SHOULDERS = np.array(
    [[12, 0, 0], [4, 4, 3], [-3, 14, 9], [-10, 42, 18], [-18, 82, 28], [-30, 118, 36], [-52, 140, 42]]
)
BODY = np.array([[-100, 152, 46], [-160, 156, 50], [-240, 158, 52], [-380, 158, 52]])


def _many(faces: list[tuple[ndarray, int]]) -> tuple[ndarray, int]:
    """Triangles of several meshes one after the other, and their vertices' number."""
    start, out = 0, []
    for triangles, count in faces:
        out.append(triangles + start)
        start += count
    return np.concatenate(out), start


_RIM_GRID = (grid_faces(RIM + 1, RIM_SIDES, around=True), (RIM + 1) * RIM_SIDES)
_BAR_GRID = (grid_faces(BAR, BAR_SIDES, around=True), BAR * BAR_SIDES)
_LENS = (
    np.stack([np.full(RIM, RIM), np.arange(RIM), (np.arange(RIM) + 1) % RIM], 1).astype(np.int64),
    RIM + 1,
)
_ROD = (grid_faces(RINGS, SIDES, around=True), RINGS * SIDES)
GLASSES_FACES, GLASSES_COUNT = _many([_RIM_GRID, _RIM_GRID, _LENS, _LENS, *[_BAR_GRID] * 3])
HAND_FACES, HAND_COUNT = _many([_ROD] * FINGERS)
THING_FACES, THING_COUNT = _ROD
CLOTHES_FACES = grid_faces(CLOTHES_ROWS, CLOTHES_COLUMNS, around=True)
CLOTHES_COUNT = CLOTHES_ROWS * CLOTHES_COLUMNS


def glasses(frame: FaceFrame, rng: np.random.Generator, *, dark: bool) -> Prop:
    """A frame before the eyes with its temples; lenses only if nothing is seen through them."""
    width, height = rng.uniform(22, 29), rng.uniform(15, 25)
    square, thick = rng.uniform(2, 5), np.exp(rng.uniform(np.log(0.6), np.log(2.4)))
    color = rng.uniform(0, 0.5, 3) if rng.random() < 0.3 else np.full(3, np.exp(rng.uniform(-5, -1)))
    apart = abs(frame.eyes[1, 0] - frame.eyes[0, 0]) / 2
    front = max(frame.eyes[:, 2].max() + rng.uniform(9, 15), frame.bridge[2] - 2.0)
    angle = np.linspace(0, 2 * np.pi, RIM, endpoint=False)
    power = 2 / square
    x = width * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power
    y = height * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power
    y -= 0.12 * height * (y < 0) * (x / width) ** 2  # narrower below
    level, bend = frame.eyes[:, 1].mean() - rng.uniform(0, 4), rng.uniform(0.1, 0.25)
    parts, lenses, outer, inner = [], [], [], []
    for side in (-1.0, 1.0):
        rim = np.stack([side * apart + x, level + y, front - bend * np.abs(side * apart + x) + 8.0 * bend], 1)
        parts.append(plain_prop(closed_tube(rim, thick, RIM_SIDES), color, 0.5))
        middle = rim.mean(0) + np.array([0, 0, 1.5])
        lens = np.concatenate([rim, middle[None]]) if dark else np.full((RIM + 1, 3), np.nan)
        lenses.append(plain_prop(lens, np.full(3, 0.012), 0.9))
        outer.append(rim[np.abs(rim[:, 0]).argmax()] + [0, 0.3 * height, 0])
        inner.append(rim[np.abs(rim[:, 0]).argmin()] + [0, 0.35 * height, 0])
    share = np.linspace(0, 1, BAR)[:, None]
    arch = inner[0] + share * (inner[1] - inner[0]) + np.sin(np.pi * share) * [0, 2.5, 2.0]
    bars = [plain_prop(tube(arch, thick, BAR_SIDES), color, 0.5)]
    for side, place in zip((-1.0, 1.0), outer, strict=True):
        ear = np.array([side * (frame.ear[0] + 3.0), frame.ear[1] + 8.0, frame.ear[2] - 15.0])
        ear[1] = max(ear[1], place[1] - 12.0)
        bars.append(plain_prop(tube(place + share * (ear - place), thick, BAR_SIDES), color, 0.4))
    return joined([*parts, *lenses, *bars])


def hand(frame: FaceFrame, skin: Float[ndarray, " 3"], rng: np.random.Generator) -> Prop:
    """Palm, four fingers and a thumb before the lower face or at a cheek."""
    side = rng.choice([-1.0, 1.0])
    at = frame.mouth + np.array([side * rng.uniform(0, 65), rng.uniform(-35, 45), 0.0])
    at[2] = frame.tip[2] - 0.55 * abs(at[0]) + rng.uniform(2, 15)
    lean = side * np.radians(rng.uniform(-20, 75))
    up = np.array([-np.sin(lean), np.cos(lean), 0.0])
    across = np.array([up[1], -up[0], 0.0]) * side
    curl, length = rng.uniform(-0.5, 0.1), rng.uniform(60, 85)
    spread = rng.uniform(0.0, 0.14)
    palm = at - 45 * up
    rods = [capsule(palm - 22 * up, palm + 28 * up, (27.0, 32.0), RINGS, SIDES)]
    flat = (rods[0] - palm) @ np.eye(3)
    rods[0] = palm + flat * [1, 1, 0.55]
    for number, share in enumerate((-1.5, -0.5, 0.5, 1.5)):
        root = palm + 30 * up + share * 17 * across
        way = up + share * spread * across + [0, 0, curl]
        reach = length * (1.0, 1.12, 1.05, 0.82)[number]
        tip = root + reach * way / np.linalg.norm(way)
        rods.append(capsule(root, tip, (9.0, 7.2), RINGS, SIDES))
    thumb = palm - 30 * across
    rods.append(capsule(thumb, thumb + 52 * (0.75 * up - 0.66 * across), (10.5, 8.5), RINGS, SIDES))
    color = skin * np.exp(0.08 * rng.normal())
    return joined([plain_prop(rod, color, 0.2) for rod in rods])


def round_thing(frame: FaceFrame, rng: np.random.Generator) -> Prop:
    """A ball or a rod of any colour somewhere before the face."""
    at = frame.tip + rng.normal(size=3) * [35, 40, 0] + [0, -10, rng.uniform(15, 60)]
    end = at + rng.normal(size=3) * [40, 40, 10]
    radius = rng.uniform(8, 26)
    shape = capsule(at, end, (radius, radius * rng.uniform(0.4, 1.0)), RINGS, SIDES)
    return plain_prop(shape, rng.uniform(0.01, 0.7, 3), float(rng.uniform(0, 0.6)))


def clothes(frame: FaceFrame, neck: Float[ndarray, "N 3"], turned: float, rng: np.random.Generator) -> Prop:
    """Shoulders from a collar around the neck down.

    Args:
        frame: of the head.
        neck: vertices at the neck's end.
        turned: radians about the vertical axis from the head to the shoulders.
        rng: of the drawing.
    """
    middle = (neck.min(0) + neck.max(0)) / 2
    half = (neck.max(0) - neck.min(0)) / 2
    collar, size = rng.uniform(2, 9), rng.uniform(0.85, 1.1)
    profile = np.concatenate([SHOULDERS, BODY])
    down = profile[:, 0] + rng.uniform(-6, 16) * (profile[:, 0] > 0)
    angle = np.linspace(0, 2 * np.pi, CLOTHES_COLUMNS, endpoint=False)
    wide = half[0] + collar + size * profile[:, 1]
    deep = half[2] + collar + size * profile[:, 2]
    # Shoulders slope: what lies to the sides hangs lower than what lies before and behind.
    slope = (profile[:, 1] / profile[:, 1].max())[:, None] * 42.0 * np.abs(np.sin(angle))
    points = np.stack(
        [
            np.sin(angle) * wide[:, None],
            np.broadcast_to(down[:, None], (CLOTHES_ROWS, CLOTHES_COLUMNS)) - slope,
            np.cos(angle) * deep[:, None],
        ],
        axis=-1,
    ).reshape(-1, 3)
    cosine, sine = np.cos(turned), np.sin(turned)
    points = points @ np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]]).T
    points += [middle[0], frame.neck, middle[2]]
    color = np.exp(rng.uniform(-4.5, -0.3)) * np.exp(rng.choice([0.03, 0.3, 0.7]) * rng.normal(size=3))
    color = color.clip(0.005, 0.85)
    prop = plain_prop(points, color, 0.0)
    stripes = np.repeat(rng.random(CLOTHES_ROWS) < 0.5, CLOTHES_COLUMNS) * (rng.random() < 0.25)
    albedo = np.where(stripes[:, None], rng.uniform(0.02, 0.7, 3), prop.albedo)
    return Prop(points, albedo, prop.specular, prop.strand)
