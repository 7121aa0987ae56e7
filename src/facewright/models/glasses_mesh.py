"""The surface of spectacles on a head: tubes for rims, bridge and temples, and thin lenses."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy import ndarray

from facewright.models.glasses import SIDES, GlassesSeat, GlassesShape

RIM, BAR, TEMPLE = 72, 12, 28  # rings of a rim, the bridge and a temple
AROUND = 8  # corners of a ring
ANGLES = np.arange(RIM) * (2 * np.pi / RIM)  # of the rims' rings, from outward towards up
BRIDGE_UP, HINGE_UP = 0.42, 0.5  # where bridge and temples meet the rims, in half heights of the lens
BRIDGE_ARCH = (2.0, 3.0)  # mm that the bridge rises, and goes forward
END_PIECE = 3.0  # mm from the rim out to the hinge
CLEAR = 0.8  # mm of air between frame and skin
MOST_FORWARD = 6.0  # mm that the whole front gives way to the skin; what is still in the way bends
HOOK = ((-1.0, -4.0, -6.0), (-3.0, -14.0, -10.0), (-5.0, -24.0, -11.0))  # mm past the ear: out, up, forward
STRAIGHT = 0.8  # share of a temple's rings before the ear
LENS_RINGS = (0.5, 0.0)  # shares of the outline
CURVE = 120.0  # mm, radius of a lens
LEAST_RADIUS = 0.45  # mm: thinner tubes flicker


@dataclass(frozen=True)
class GlassesParts:
    """How the frame of one pair is built.

    Attributes:
        thick: half thickness of the rim at ``ANGLES`` in the plane of the lens, mm.
        there: whether there is a rim at ``ANGLES``.
        bars: half thickness of bridge and temples, mm.
        deep: half thickness of the rim before to behind, mm.
    """

    thick: Float[ndarray, " R"]
    there: Bool[ndarray, " R"]
    bars: float
    deep: float


@dataclass(frozen=True)
class GlassesMesh:
    """Spectacles on a head.

    Attributes:
        vertices: mm, head frame; those of the frame come first.
        faces: counter-clockwise from outside.
        place: what each vertex belongs to: the ring of its rim, or one of ``BRIDGE``, ``TEMPLES``, ``LENS``.
        frame: so many triangles are the frame's, the others the lenses'.
    """

    vertices: Float[ndarray, "V 3"]
    faces: Int64[ndarray, "F 3"]
    place: Int64[ndarray, " V"]
    frame: int


BRIDGE, TEMPLES, LENS = RIM, RIM + 1, RIM + 2


def glasses_mesh(shape: GlassesShape, seat: GlassesSeat, parts: GlassesParts) -> GlassesMesh:
    """Build spectacles on a head; they stand off its skin."""
    forward = _forward(shape, seat, parts)
    pieces: list[tuple[ndarray, ndarray, ndarray]] = []
    lenses: list[tuple[ndarray, ndarray, ndarray]] = []
    for side in SIDES:
        rings = _rim_rings(shape, seat, parts, side, forward)
        faces = _ring_faces(RIM, closed=True).reshape(2, RIM, AROUND, 3)
        kept = parts.there & np.roll(parts.there, -1)
        faces = faces[:, kept].reshape(-1, 3)
        faces = faces if side > 0 else faces[:, ::-1]
        pieces.append((rings.reshape(-1, 3), faces, np.repeat(np.arange(RIM), AROUND)))
        path = _temple(shape, seat, parts, side, forward)
        tube = _tube(path, parts.bars * np.linspace(1.15, 0.9, len(path)), np.array([0.0, 1.0, 0.0]), 0.6)
        pieces.append((tube, _capped(len(path)), np.full(len(tube), TEMPLES)))
        lenses.append(_lens(shape, seat, parts, side, forward))
    path = _bridge(shape, seat, parts, forward)
    tube = _tube(path, np.full(len(path), parts.bars), np.array([0.0, 1.0, 0.0]), 0.8)
    pieces.append((tube, _capped(len(path)), np.full(len(tube), BRIDGE)))
    count, vertices, faces, place = 0, [], [], []
    for own, triangles, where in [*pieces, *lenses]:
        vertices.append(own)
        faces.append(triangles + count)
        place.append(where)
        count += len(own)
    frame = sum(len(triangles) for _, triangles, _ in pieces)
    return GlassesMesh(np.concatenate(vertices), np.concatenate(faces), np.concatenate(place), frame)


def on_lens(
    shape: GlassesShape, seat: GlassesSeat, side: float, lens: Float[ndarray, "N 2"], forward: float = 0.0
) -> Float[ndarray, "N 3"]:
    """Places of a lens (outward and up from its middle) in the head frame."""
    return seat.bent(shape.on_front(side, lens), shape.before + forward)


def _middle_line(shape: GlassesShape, parts: GlassesParts) -> Float[ndarray, "R 2"]:
    """Middle of the rim: half its thickness inside the outer edge."""
    return shape.outline(ANGLES) - parts.thick[:, None] * _outward(shape)


def _outward(shape: GlassesShape) -> Float[ndarray, "R 2"]:
    """Unit directions across the outer edge."""
    edge = shape.outline(ANGLES)
    along = np.roll(edge, -1, 0) - np.roll(edge, 1, 0)
    along /= np.linalg.norm(along, axis=1, keepdims=True).clip(1e-9)
    return np.stack([along[:, 1], -along[:, 0]], 1)


def _forward(shape: GlassesShape, seat: GlassesSeat, parts: GlassesParts) -> float:
    """Mm that the front moves forward so that no skin is in its way."""
    most = 0.0
    for side in SIDES:
        rim = on_lens(shape, seat, side, _middle_line(shape, parts))
        most = max(most, float((seat.skin_before(rim[:, :2]) + parts.deep + CLEAR - rim[:, 2]).max()))
    return min(most, MOST_FORWARD)


def _rim_rings(
    shape: GlassesShape, seat: GlassesSeat, parts: GlassesParts, side: float, forward: float
) -> Float[ndarray, "R A 3"]:
    around = np.arange(AROUND) * (2 * np.pi / AROUND)
    across, deep = np.cos(around), np.sin(around)
    thick = np.maximum(parts.thick, LEAST_RADIUS)
    flat = (
        _middle_line(shape, parts)[:, None] + (thick[:, None] * across)[..., None] * _outward(shape)[:, None]
    )
    places = on_lens(shape, seat, side, flat.reshape(-1, 2), forward).reshape(RIM, AROUND, 3)
    places[..., 2] += parts.deep * deep
    lowest = seat.skin_before(places[:, ::2, :2].reshape(-1, 2)).reshape(RIM, -1).max(1)
    push = (lowest + CLEAR - places[..., 2].min(1)).clip(0)
    places[..., 2] += _smooth_around(push)[:, None]
    return places


def _smooth_around(values: Float[ndarray, " R"]) -> Float[ndarray, " R"]:
    """The largest value nearby, fading away smoothly on the ring."""
    wide = np.maximum.reduce([np.roll(values, shift) for shift in (-2, -1, 0, 1, 2)])
    for _ in range(4):
        wide = (np.roll(wide, 1) + 2 * wide + np.roll(wide, -1)) / 4
    return np.maximum(wide, values)


def _lens(
    shape: GlassesShape, seat: GlassesSeat, parts: GlassesParts, side: float, forward: float
) -> tuple[Float[ndarray, "N 3"], Int64[ndarray, "F 3"], Int64[ndarray, " N"]]:
    edge = _middle_line(shape, parts)
    rows = [edge, *(edge * share for share in LENS_RINGS[:-1]), np.zeros((1, 2))]
    flat = np.concatenate(rows)
    places = on_lens(shape, seat, side, flat, forward)
    far = (edge**2).sum(1).mean()
    places[:, 2] += (far - (flat**2).sum(1)) / (2 * CURVE)
    places[:, 2] = np.maximum(places[:, 2], seat.skin_before(places[:, :2]) + CLEAR)
    faces, step, after = [], np.arange(RIM), (np.arange(RIM) + 1) % RIM
    for ring in range(len(LENS_RINGS) - 1):
        outer, inner = ring * RIM, (ring + 1) * RIM
        faces.append(np.stack([outer + step, outer + after, inner + step], 1))
        faces.append(np.stack([outer + after, inner + after, inner + step], 1))
    last = (len(LENS_RINGS) - 1) * RIM
    faces.append(np.stack([last + step, last + after, np.full(RIM, last + RIM)], 1))
    triangles = np.concatenate(faces)
    return places, triangles if side > 0 else triangles[:, ::-1], np.full(len(places), LENS)


def _bridge(
    shape: GlassesShape, seat: GlassesSeat, parts: GlassesParts, forward: float
) -> Float[ndarray, "N 3"]:
    edge = _middle_line(shape, parts)
    ring = _ring_at(edge, BRIDGE_UP * shape.height, inner=True)
    ends = [on_lens(shape, seat, side, edge[ring][None], forward)[0] for side in SIDES]
    share = np.linspace(0, 1, BAR)[:, None]
    path = ends[0] + share * (ends[1] - ends[0])
    rise, out = BRIDGE_ARCH
    path += np.sin(np.pi * share) * [0.0, rise, out]
    skin = seat.skin_before(path[:, :2]) + parts.bars + CLEAR
    path[:, 2] = np.maximum(path[:, 2], skin)
    return path


def _ring_at(edge: Float[ndarray, "R 2"], up: float, *, inner: bool) -> int:
    """The ring of a rim at a height, on the side of the nose or on the other."""
    wanted = (edge[:, 0] < 0) if inner else (edge[:, 0] > 0)
    return int(np.where(wanted, np.abs(edge[:, 1] - up), np.inf).argmin())


def _temple(
    shape: GlassesShape, seat: GlassesSeat, parts: GlassesParts, side: float, forward: float
) -> Float[ndarray, "N 3"]:
    edge = _middle_line(shape, parts)
    ring = _ring_at(edge, HINGE_UP * shape.height, inner=False)
    start = on_lens(shape, seat, side, edge[ring][None], forward)[0]
    ear = seat.ears[int(side > 0)]
    wide = seat.skin_beside(side, np.array([[start[1], start[2] - 12.0]]))[0] + parts.bars + CLEAR
    hinge = start + np.array([side * END_PIECE, 0.0, -3.0])
    hinge[0] = side * max(abs(hinge[0]), wide)
    straight = round(STRAIGHT * TEMPLE)
    share = np.linspace(0, 1, straight)[:, None]
    path = hinge + share * (ear - hinge)
    hook = ear + np.array(HOOK) * [side, 1.0, 1.0]
    ends = np.linspace(0, 1, TEMPLE - straight + 1)[1:] * len(HOOK)
    knots = np.concatenate([ear[None], hook])
    behind = np.stack([np.interp(ends, np.arange(len(knots)), knots[:, axis]) for axis in range(3)], 1)
    skin = seat.skin_beside(side, path[:, 1:]) + 0.6 * parts.bars + CLEAR
    path[:, 0] = side * np.maximum(np.abs(path[:, 0]), skin)
    path = np.concatenate([start[None], path, behind])
    for _ in range(2):
        path[2:-1] = (path[1:-2] + 2 * path[2:-1] + path[3:]) / 4
    return path


def _tube(
    path: Float[ndarray, "N 3"], radius: Float[ndarray, " N"], up: Float[ndarray, "3"], flat: float
) -> Float[ndarray, "M 3"]:
    """Rings around a path, ``radius`` high along ``up`` and ``flat`` times as wide, and a cap at each end."""
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True).clip(1e-9)
    wide = np.cross(along, up)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True).clip(1e-9)
    high = np.cross(wide, along)
    angle = np.arange(AROUND) * (2 * np.pi / AROUND)
    size = np.maximum(radius, LEAST_RADIUS)[:, None, None]
    ring = flat * np.cos(angle)[:, None] * wide[:, None] + np.sin(angle)[:, None] * high[:, None]
    rings = path[:, None] + size * ring
    return np.concatenate([rings.reshape(-1, 3), path[:1], path[-1:]])


def _ring_faces(rings: int, *, closed: bool) -> Int64[ndarray, "F 3"]:
    """Triangles between rings of ``AROUND`` corners, first one half of each quad, then the other."""
    row, column = np.mgrid[: rings - (not closed), :AROUND]
    below, after = (row + 1) % rings, (column + 1) % AROUND
    a, b = row * AROUND + column, row * AROUND + after
    c, d = below * AROUND + column, below * AROUND + after
    return np.stack([np.stack([a, c, b], -1), np.stack([b, c, d], -1)]).reshape(-1, 3)


def _capped(rings: int) -> Int64[ndarray, "F 3"]:
    """Triangles of a ``_tube``."""
    column = np.arange(AROUND)
    after, last, cap = (column + 1) % AROUND, (rings - 1) * AROUND, rings * AROUND
    start = np.stack([np.full(AROUND, cap), column, after], 1)
    end = np.stack([np.full(AROUND, cap + 1), last + after, last + column], 1)
    return np.concatenate([_ring_faces(rings, closed=False), start, end])
