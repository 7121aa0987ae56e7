"""Hair: a shell over the skin from a hairline up, and long hair that hangs from it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy import ndarray

from facewright.data.face_frame import FaceFrame
from facewright.data.props import Prop, grid_faces
from facewright.data.scanner import smooth_field

# Lowest angle (radians from the front, around the vertical axis) of the hairline's corners.
CORNERS = np.radians([0.0, 25.0, 50.0, 72.0, 95.0, 120.0, 180.0])
SOFT = 22.0  # mm above the hairline at which hair has its full thickness
UNDER = -3.0  # mm that the shell lies below the skin where no hair grows
ROWS, COLUMNS = 14, 44  # of hanging hair
STRANDS = (64, 512)  # rows along, columns across of the strand texture


@dataclass(frozen=True)
class HairStyle:
    """One head of hair.

    Attributes:
        line: heights of the hairline above the brows at ``CORNERS``, mm.
        thickness: mm.
        lumps: mm, how uneven it is.
        color: linear RGB.
        long: mm below the ears that it reaches, 0 if it does not hang.
        opening: radians from the front at which hanging hair begins, on the right and on the left.
    """

    line: Float[ndarray, " 7"]
    thickness: float
    lumps: float
    color: Float[ndarray, " 3"]
    long: float
    opening: tuple[float, float]


def draw_hair(rng: np.random.Generator, *, long: bool) -> HairStyle:
    """A style at random; natural colours mostly."""
    front = rng.uniform(2, 18) if rng.random() < 0.2 else rng.uniform(22, 62)  # a fringe, or a forehead
    temple = rng.uniform(4, 26)
    line = np.array([front, front + rng.normal(0, 4), max(front - rng.uniform(2, 18), 3.0), temple, 0, 0, 0])
    line[4] = rng.uniform(-12, 5)
    line[5] = rng.uniform(-80, -35)
    line[6] = line[5] - rng.uniform(0, 20)
    line[0] += rng.normal(0, 3)
    thickness = rng.uniform(14, 34) if long else np.exp(rng.uniform(np.log(3), np.log(30)))
    opening = (float(np.radians(rng.uniform(62, 95))), float(np.radians(rng.uniform(62, 95))))
    return HairStyle(
        line=line,
        thickness=float(thickness),
        lumps=float(thickness * rng.uniform(0.1, 0.3)),
        color=_color(rng),
        long=float(rng.uniform(20, 190)) if long else 0.0,
        opening=opening,
    )


def _color(rng: np.random.Generator) -> ndarray:
    if rng.random() < 0.02:
        return rng.uniform(0.02, 0.5, 3)  # dyed
    if rng.random() < 0.1:
        return np.full(3, rng.uniform(0.12, 0.5)) * [1.0, 0.98, 0.94]  # grey
    dark = np.exp(rng.uniform(np.log(0.006), np.log(0.26)))  # black to blond
    warm = rng.uniform(0.3, 1.0) * min(1.0, dark * 16)
    return dark * np.array([1.0, 1.0 - 0.38 * warm, 1.0 - 0.68 * warm])


@dataclass(frozen=True)
class HairShell:
    """The part of a model's skin that hair may cover.

    Attributes:
        vertex: of the model.
        faces: triangles, indices into ``vertex``.
        bare: which of them never bear short hair (ears).
    """

    vertex: Int64[ndarray, " N"]
    faces: Int64[ndarray, "F 3"]
    bare: Bool[ndarray, " N"]

    @classmethod
    def of(
        cls,
        mean: Float[ndarray, "V 3"],
        faces: Int64[ndarray, "F 3"],
        skin: Bool[ndarray, " V"],
        bare: Bool[ndarray, " V"],
        frame: FaceFrame,
    ) -> "HairShell":
        """Choose the triangles of the skin that lie above or behind any hairline of ``draw_hair``."""
        angle = _angle(mean, frame)
        height = mean[:, 1] - frame.brow
        low = np.interp(angle, CORNERS, [5.0, 0.0, -5.0, -10.0, -30.0, -115.0, -115.0])
        chosen = skin & (height > low)
        kept = faces[chosen[faces].all(1)]
        vertex, packed = np.unique(kept, return_inverse=True)
        return cls(vertex, packed.reshape(-1, 3).astype(np.int64), bare[vertex])

    @property
    def count(self) -> int:
        """Number of vertices."""
        return len(self.vertex)

    def on(
        self,
        vertices: Float[ndarray, "V 3"],
        normals: Float[ndarray, "V 3"],
        frame: FaceFrame,
        style: HairStyle,
        rng: np.random.Generator,
    ) -> Prop:
        """The shell on a head."""
        points, normal = vertices[self.vertex], normals[self.vertex]
        angle = _angle(points, frame)
        bumps = smooth_field(points, rng, waves=8)
        above = points[:, 1] - frame.brow - np.interp(angle, CORNERS, style.line) + 3.0 * bumps[:, 0]
        grown = np.clip(above / SOFT, 0, 1)
        grown = np.sqrt(grown) * (3 - grown) / 2
        grown[self.bare & (style.long == 0.0)] = 0.0
        uneven = style.lumps * bumps[:, 1] + 0.08 * style.thickness * rng.normal(size=len(points))
        rise = np.where(grown > 0, grown * np.maximum(style.thickness + uneven, 1.5), UNDER)
        placed = points + rise[:, None] * normal
        placed[:, 1] += 0.3 * rise.clip(0) * (points[:, 1] > frame.brow)
        # What lies below the skin everywhere is taken away: near the rim of the mesh it would show.
        bare = np.ones(len(points), bool)
        seen = (rise > 0)[self.faces].any(1)
        bare[self.faces[seen]] = False
        placed[bare] = np.nan
        color = style.color * np.exp(0.12 * rng.normal(size=(len(points), 1)))
        strand = _strand(points, frame)
        return Prop(placed, color, np.full(len(points), 0.12), strand)


HANGING_FACES = grid_faces(ROWS, COLUMNS, around=False)
HANGING_COUNT = ROWS * COLUMNS


def hanging_hair(frame: FaceFrame, style: HairStyle, rng: np.random.Generator) -> Prop:
    """Hair that hangs from the shell around the back of the neck, open towards the face."""
    share = np.linspace(0, 1, COLUMNS)
    angle = style.opening[0] + share * (2 * np.pi - style.opening[0] - style.opening[1])
    down = np.linspace(0, 1, ROWS)[:, None]
    start, end = frame.brow + 25.0, frame.ear[1] - style.long
    ragged = 8.0 * rng.normal(size=COLUMNS)
    height = start + down * (end + ragged - start)
    swell = style.thickness * (0.5 + 0.5 * np.sin(np.pi * np.clip(down * 1.3, 0, 1)))
    wave = 2.5 * np.sin(angle * rng.integers(6, 14) + rng.uniform(0, 6) + 3 * down * rng.normal())
    fall = 1.0 - 0.12 * down * rng.uniform(0, 1)
    wide = (frame.ear[0] + swell * 0.8 + wave) * fall
    deep = (0.92 * (frame.bridge[2] - frame.middle) + swell * 0.6 + wave) * fall
    points = np.stack(
        [
            np.broadcast_to(-np.sin(angle) * wide, height.shape),
            height,
            frame.middle + np.cos(angle) * deep,
        ],
        axis=-1,
    ).reshape(-1, 3)
    color = style.color * np.exp(0.12 * rng.normal(size=(HANGING_COUNT, 1)))
    across = np.broadcast_to(angle / (2 * np.pi), height.shape).reshape(-1)
    along = np.broadcast_to(0.4 + 0.6 * down, height.shape).reshape(-1)
    return Prop(points, color, np.full(HANGING_COUNT, 0.12), np.stack([across, along], 1))


def strand_texture(rng: np.random.Generator) -> Float[ndarray, "H W 1"]:
    """How light strands are, around 1, as a map: fine across and smooth along them."""
    rows, columns = STRANDS
    total = np.zeros((rows, columns))
    for along, across, weight in ((4, columns, 0.22), (6, columns // 4, 0.2), (3, columns // 16, 0.2)):
        coarse = rng.normal(size=(along, across))
        places = np.linspace(0, along - 1, rows)
        fine = np.stack([np.interp(places, np.arange(along), column) for column in coarse.T], 1)
        at = np.arange(columns) * across / columns
        left = at.astype(int) % across
        part = at - at.astype(int)
        total += weight * ((1 - part) * fine[:, left] + part * fine[:, (left + 1) % across])
    return np.exp(total)[..., None].astype(np.float32)


def _angle(points: Float[ndarray, "N 3"], frame: FaceFrame) -> Float[ndarray, " N"]:
    """Radians from the front around the vertical axis, 0 to pi."""
    return np.arctan2(np.abs(points[:, 0]), points[:, 2] - frame.middle)


def _strand(points: Float[ndarray, "N 3"], frame: FaceFrame) -> Float[ndarray, "N 2"]:
    x, y, z = points[:, 0], points[:, 1] - frame.brow, points[:, 2] - frame.middle
    across = (np.arctan2(-x, z) / (2 * np.pi)) % 1.0
    along = np.arctan2(np.hypot(x, z), y) / np.pi
    return np.stack([across, along.clip(0, 1)], 1)
