"""Glasses, hands, round things and clothes on a head."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import normalize

from facewright.data.draws import row
from facewright.data.face_frame import FaceFrame
from facewright.data.props import Prop, capsule, closed_tube, grid_faces, joined, plain_prop, tube

RIM, RIM_SIDES, BAR, BAR_SIDES = 36, 6, 8, 5  # rings and sides of rims, of bridge and temples
RINGS, SIDES = 9, 10  # of fingers and round things
FINGERS = 6  # with thumb and palm
ROOTS, LENGTHS = (-1.5, -0.5, 0.5, 1.5), (1.0, 1.12, 1.05, 0.82)  # of the four fingers across the palm
CLOTHES_ROWS, CLOTHES_COLUMNS = 11, 48
# Clothes, from the collar down: mm below the neck's end, half width and half depth beyond the collar.
SHOULDERS = (
    *((12, 0, 0), (4, 4, 3), (-3, 14, 9), (-10, 42, 18), (-18, 82, 28), (-30, 118, 36), (-52, 140, 42)),
    *((-100, 152, 46), (-160, 156, 50), (-240, 158, 52), (-380, 158, 52)),
)


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


@dataclass(frozen=True)
class GlassesDraw:
    """What is random of glasses.

    Attributes:
        width: half of a lens, mm.
        height: likewise.
        square: exponent of its outline; 2 is an ellipse.
        thick: radius of the frame, mm.
        color: linear.
        before: mm, the eyes.
        below: mm, their middle.
        bend: how much it goes back to the sides.
        dark: whether there are lenses that nothing is seen through.
    """

    width: Float[Tensor, " B"]
    height: Float[Tensor, " B"]
    square: Float[Tensor, " B"]
    thick: Float[Tensor, " B"]
    color: Float[Tensor, "B 3"]
    before: Float[Tensor, " B"]
    below: Float[Tensor, " B"]
    bend: Float[Tensor, " B"]
    dark: Bool[Tensor, " B"]


def draw_glasses(rng: np.random.Generator, *, dark: bool) -> GlassesDraw:
    """Glasses at random; lenses only if nothing is seen through them."""
    width, height, square = rng.uniform(22, 29), rng.uniform(15, 25), rng.uniform(2, 5)
    thick = np.exp(rng.uniform(np.log(0.6), np.log(2.4)))
    color = rng.uniform(0, 0.5, 3) if rng.random() < 0.3 else np.full(3, np.exp(rng.uniform(-5, -1)))
    numbers = (
        width,
        height,
        square,
        thick,
        color,
        rng.uniform(9, 15),
        rng.uniform(0, 4),
        rng.uniform(0.1, 0.25),
    )
    return GlassesDraw(*(row(number) for number in numbers), dark=torch.tensor([dark]))


def glasses(frame: FaceFrame, draw: GlassesDraw) -> Prop:
    """A frame before the eyes with its temples, and dark lenses."""
    device, black = draw.width.device, torch.full_like(draw.color, 0.012)
    angle = torch.arange(RIM, device=device) * (2 * torch.pi / RIM)
    power = (2 / draw.square)[:, None]
    cosine, sine = angle.cos(), angle.sin()
    width, height = draw.width[:, None], draw.height[:, None]
    x = width * cosine.sign() * cosine.abs() ** power
    y = height * sine.sign() * sine.abs() ** power
    y = y - 0.12 * height * (y < 0) * (x / width) ** 2  # narrower below
    apart = (frame.eyes[:, 1, 0] - frame.eyes[:, 0, 0]).abs()[:, None] / 2
    front = torch.maximum(frame.eyes[..., 2].amax(1) + draw.before, frame.bridge[:, 2] - 2.0)[:, None]
    level, bend = (frame.eyes[..., 1].mean(1) - draw.below)[:, None], draw.bend[:, None]
    rims, parts, lenses = [], [], []
    for side in (-1.0, 1.0):
        across = side * apart + x
        rim = torch.stack([across, level + y, front - bend * across.abs() + 8.0 * bend], -1)
        rims.append(rim)
        parts.append(plain_prop(closed_tube(rim, draw.thick, RIM_SIDES), draw.color, 0.5))
        middle = rim.mean(1, keepdim=True) + rim.new_tensor([0, 0, 1.5])
        lenses.append(plain_prop(torch.cat([rim, middle], 1), black, 0.9).shown(draw.dark))
    rows = torch.arange(len(x), device=device)
    outer = [rim[rows, rim[..., 0].abs().argmax(1)] for rim in rims]
    inner = [rim[rows, rim[..., 0].abs().argmin(1)] for rim in rims]
    bars = _bars(frame, draw, _raised(inner, 0.35 * draw.height), _raised(outer, 0.3 * draw.height))
    return joined([*parts, *lenses, *bars])


def _raised(points: list[Tensor], by: Float[Tensor, " B"]) -> list[Tensor]:
    up = torch.stack([torch.zeros_like(by), by, torch.zeros_like(by)], -1)
    return [point + up for point in points]


def _bars(frame: FaceFrame, draw: GlassesDraw, inner: list[Tensor], outer: list[Tensor]) -> list[Prop]:
    """Bridge and temples."""
    share = torch.linspace(0, 1, BAR, device=draw.width.device)[:, None]
    arched = (torch.pi * share).sin() * draw.width.new_tensor([0, 2.5, 2.0])
    arch = inner[0][:, None] + share * (inner[1] - inner[0])[:, None] + arched
    bars = [plain_prop(tube(arch, draw.thick, BAR_SIDES), draw.color, 0.5)]
    for side, place in zip((-1.0, 1.0), outer, strict=True):
        height = torch.maximum(frame.ear[:, 1] + 8.0, place[:, 1] - 12.0)
        ear = torch.stack([side * (frame.ear[:, 0] + 3.0), height, frame.ear[:, 2] - 15.0], -1)
        temple = place[:, None] + share * (ear - place)[:, None]
        bars.append(plain_prop(tube(temple, draw.thick, BAR_SIDES), draw.color, 0.4))
    return bars


@dataclass(frozen=True)
class HandDraw:
    """What is random of a hand.

    Attributes:
        side: -1 or 1.
        off: mm from the mouth, right and up.
        before: mm, the face.
        lean: radians.
        curl: of the fingers.
        length: of the fingers, mm.
        spread: of the fingers.
        light: for the skin.
    """

    side: Float[Tensor, " B"]
    off: Float[Tensor, "B 2"]
    before: Float[Tensor, " B"]
    lean: Float[Tensor, " B"]
    curl: Float[Tensor, " B"]
    length: Float[Tensor, " B"]
    spread: Float[Tensor, " B"]
    light: Float[Tensor, " B"]


def draw_hand(rng: np.random.Generator) -> HandDraw:
    """A hand at random."""
    side = rng.choice([-1.0, 1.0])
    off = np.array([side * rng.uniform(0, 65), rng.uniform(-35, 45)])
    before, lean = rng.uniform(2, 15), side * np.radians(rng.uniform(-20, 75))
    curl, length, spread = rng.uniform(-0.5, 0.1), rng.uniform(60, 85), rng.uniform(0.0, 0.14)
    light = np.exp(0.08 * rng.normal())
    return HandDraw(*(row(number) for number in (side, off, before, lean, curl, length, spread, light)))


def hand(frame: FaceFrame, skin: Float[Tensor, "B 3"], draw: HandDraw) -> Prop:
    """Palm, four fingers and a thumb before the lower face or at a cheek."""
    flat = frame.mouth[:, :2] + draw.off
    depth = frame.tip[:, 2] - 0.55 * flat[:, 0].abs() + draw.before
    at, nothing = torch.cat([flat, depth[:, None]], -1), torch.zeros_like(draw.lean)
    up = torch.stack([-draw.lean.sin(), draw.lean.cos(), nothing], -1)
    across = torch.stack([up[:, 1], -up[:, 0], nothing], -1) * draw.side[:, None]
    palm = at - 45 * up
    body = capsule(palm - 22 * up, palm + 28 * up, _radii(up, 27.0, 32.0), RINGS, SIDES)
    rods = [palm[:, None] + (body - palm[:, None]) * up.new_tensor([1, 1, 0.55])]
    bent = torch.stack([nothing, nothing, draw.curl], -1)
    for share, length in zip(ROOTS, LENGTHS, strict=True):
        root = palm + 30 * up + share * 17 * across
        way = normalize(up + share * draw.spread[:, None] * across + bent, dim=-1)
        tip = root + (draw.length * length)[:, None] * way
        rods.append(capsule(root, tip, _radii(up, 9.0, 7.2), RINGS, SIDES))
    thumb = palm - 30 * across
    end = thumb + 52 * (0.75 * up - 0.66 * across)
    rods.append(capsule(thumb, end, _radii(up, 10.5, 8.5), RINGS, SIDES))
    color = skin * draw.light[:, None]
    return joined([plain_prop(rod, color, 0.2) for rod in rods])


def _radii(like: Tensor, start: float, end: float) -> Float[Tensor, "B 2"]:
    return like.new_tensor([[start, end]]).expand(len(like), 2)


@dataclass(frozen=True)
class ThingDraw:
    """What is random of a ball or rod: mm from the nose's tip to its ends; radii, mm; colour; gloss."""

    start: Float[Tensor, "B 3"]
    way: Float[Tensor, "B 3"]
    radii: Float[Tensor, "B 2"]
    color: Float[Tensor, "B 3"]
    gloss: Float[Tensor, " B"]


def draw_round_thing(rng: np.random.Generator) -> ThingDraw:
    """A ball or a rod of any colour at random."""
    start = rng.normal(size=3) * [35, 40, 0] + [0, -10, rng.uniform(15, 60)]
    way = rng.normal(size=3) * [40, 40, 10]
    radius = rng.uniform(8, 26)
    radii = np.array([radius, radius * rng.uniform(0.4, 1.0)])
    color, gloss = rng.uniform(0.01, 0.7, 3), rng.uniform(0, 0.6)
    return ThingDraw(*(row(number) for number in (start, way, radii, color, gloss)))


def round_thing(frame: FaceFrame, draw: ThingDraw) -> Prop:
    """A ball or a rod somewhere before the face."""
    start = frame.tip + draw.start
    shape = capsule(start, start + draw.way, draw.radii, RINGS, SIDES)
    return plain_prop(shape, draw.color, draw.gloss)


@dataclass(frozen=True)
class ClothesDraw:
    """What is random of clothes.

    Attributes:
        turned: radians about the vertical axis from the head to the shoulders.
        collar: mm around the neck.
        size: of the shoulders.
        raised: mm, of the collar.
        rows: colours from the collar down.
    """

    turned: Float[Tensor, " B"]
    collar: Float[Tensor, " B"]
    size: Float[Tensor, " B"]
    raised: Float[Tensor, " B"]
    rows: Float[Tensor, "B R 3"]


def draw_clothes(turned: float, rng: np.random.Generator) -> ClothesDraw:
    """Shoulders at random, turned about the vertical axis (radians) from the head."""
    collar, size, raised = rng.uniform(2, 9), rng.uniform(0.85, 1.1), rng.uniform(-6, 16)
    color = np.exp(rng.uniform(-4.5, -0.3)) * np.exp(rng.choice([0.03, 0.3, 0.7]) * rng.normal(size=3))
    color = color.clip(0.005, 0.85)
    stripes = (rng.random(CLOTHES_ROWS) < 0.5) & (rng.random() < 0.25)
    rows = np.where(stripes[:, None], rng.uniform(0.02, 0.7, 3), color)
    return ClothesDraw(*(row(number) for number in (turned, collar, size, raised, rows)))


def clothes(frame: FaceFrame, neck: Float[Tensor, "B 2 3"], draw: ClothesDraw) -> Prop:
    """Shoulders from a collar around the neck down.

    Args:
        frame: of the heads.
        neck: lowest and highest corner of the box around the neck's end.
        draw: what is random.
    """
    middle, half = (neck[:, 0] + neck[:, 1]) / 2, (neck[:, 1] - neck[:, 0]) / 2
    profile = half.new_tensor(SHOULDERS)
    down = profile[:, 0] + draw.raised[:, None] * (profile[:, 0] > 0)
    angle = torch.arange(CLOTHES_COLUMNS, device=half.device) * (2 * torch.pi / CLOTHES_COLUMNS)
    wide = (half[:, 0] + draw.collar)[:, None] + draw.size[:, None] * profile[:, 1]
    deep = (half[:, 2] + draw.collar)[:, None] + draw.size[:, None] * profile[:, 2]
    # Shoulders slope: what lies to the sides hangs lower than what lies before and behind.
    slope = (profile[:, 1] / profile[:, 1].max())[:, None] * 42.0 * angle.sin().abs()
    x, y = angle.sin() * wide[..., None], down[..., None] - slope
    z = angle.cos() * deep[..., None]
    cosine, sine = draw.turned.cos()[:, None, None], draw.turned.sin()[:, None, None]
    turned = torch.stack([cosine * x + sine * z, y.expand_as(x), cosine * z - sine * x], -1)
    place = torch.stack([middle[:, 0], frame.neck, middle[:, 2]], -1)
    points = turned.flatten(1, 2) + place[:, None]
    prop = plain_prop(points, draw.rows[:, 0], 0.0)
    albedo = draw.rows.repeat_interleave(CLOTHES_COLUMNS, 1)
    return Prop(points, albedo, prop.specular, prop.strand, prop.there)
