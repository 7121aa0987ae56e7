"""Hair: a shell over the skin from a hairline up, and long hair that hangs from it."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from torch import Tensor

from facewright.data.draws import row
from facewright.data.face_frame import FaceFrame
from facewright.data.props import Prop, grid_faces
from facewright.data.scanner import draw_waves

# Lowest angle (radians from the front, around the vertical axis) of the hairline's corners.
CORNERS = tuple(np.radians([0.0, 25.0, 50.0, 72.0, 95.0, 120.0, 180.0]).tolist())
# Heights above the brows at these corners, mm, below which no hairline comes.
LOWEST = (5.0, 0.0, -5.0, -10.0, -30.0, -115.0, -115.0)
SOFT = 22.0  # mm above the hairline at which hair has its full thickness
UNDER = -3.0  # mm that the shell lies below the skin where no hair grows
WAVES = 8  # of the bumps of short hair
GLOSS = 0.12
ROWS, COLUMNS = 14, 44  # of hanging hair


@dataclass(frozen=True)
class HairStyle:
    """Heads of hair.

    Attributes:
        line: heights of the hairline above the brows at ``CORNERS``, mm.
        thickness: mm.
        lumps: mm, how uneven it is.
        color: linear RGB.
        long: mm below the ears that it reaches, 0 if it does not hang.
        opening: radians from the front at which hanging hair begins, on the right and on the left.
    """

    line: Float[Tensor, "B 7"]
    thickness: Float[Tensor, " B"]
    lumps: Float[Tensor, " B"]
    color: Float[Tensor, "B 3"]
    long: Float[Tensor, " B"]
    opening: Float[Tensor, "B 2"]


@dataclass(frozen=True)
class ShellDraw:
    """What is random of hair on a head, beside its style.

    Attributes:
        wave: radians per mm, of the bumps' waves.
        phase: radians.
        strength: of each wave, in how dense and how thick hair is.
        uneven: of each vertex, in shares of the thickness' unevenness.
        shade: of each vertex, the logarithm of how light it is.
    """

    wave: Float[Tensor, "B W 3"]
    phase: Float[Tensor, "B W"]
    strength: Float[Tensor, "B W 2"]
    uneven: Float[Tensor, "B N"]
    shade: Float[Tensor, "B N 1"]


@dataclass(frozen=True)
class HangingDraw:
    """What is random of hanging hair, beside its style: ends, waves, fall, shades."""

    ragged: Float[Tensor, "B C"]
    waves: Float[Tensor, " B"]
    phase: Float[Tensor, " B"]
    drift: Float[Tensor, " B"]
    fall: Float[Tensor, " B"]
    shade: Float[Tensor, "B N 1"]


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
    opening = np.radians([rng.uniform(62, 95), rng.uniform(62, 95)])
    return HairStyle(
        line=row(line),
        thickness=row(thickness),
        lumps=row(thickness * rng.uniform(0.1, 0.3)),
        color=row(_color(rng)),
        long=row(rng.uniform(20, 190) if long else 0.0),
        opening=row(opening),
    )


def _color(rng: np.random.Generator) -> ndarray:
    if rng.random() < 0.02:
        return rng.uniform(0.02, 0.5, 3)  # dyed
    if rng.random() < 0.1:
        return np.full(3, rng.uniform(0.12, 0.5)) * [1.0, 0.98, 0.94]  # grey
    dark = np.exp(rng.uniform(np.log(0.006), np.log(0.26)))  # black to blond
    warm = rng.uniform(0.3, 1.0) * min(1.0, dark * 16)
    return dark * np.array([1.0, 1.0 - 0.38 * warm, 1.0 - 0.68 * warm])


def draw_shell(count: int, rng: np.random.Generator) -> ShellDraw:
    """What is random of a shell of so many vertices."""
    wave, phase, strength = draw_waves(rng, WAVES)
    uneven = rng.normal(size=count)
    return ShellDraw(
        wave=row(wave),
        phase=row(phase),
        strength=row(strength[:, :2] / np.sqrt(WAVES / 2)),
        uneven=row(uneven),
        shade=row(0.12 * rng.normal(size=(count, 1))),
    )


@dataclass(frozen=True)
class HairShell:
    """The part of a model's skin that hair may cover.

    Attributes:
        vertex: of the model.
        faces: triangles, indices into ``vertex``.
        bare: which of them never bear short hair (ears).
    """

    vertex: Int64[Tensor, " N"]
    faces: Int64[Tensor, "F 3"]
    bare: Bool[Tensor, " N"]

    @classmethod
    def of(
        cls,
        mean: Float[Tensor, "V 3"],
        faces: Int64[Tensor, "F 3"],
        skin: Bool[Tensor, " V"],
        bare: Bool[Tensor, " V"],
        frame: FaceFrame,
    ) -> "HairShell":
        """Choose the triangles of the skin that lie above or behind any hairline of ``draw_hair``."""
        low = _along_line(_angle(mean[None], frame), mean.new_tensor([LOWEST]))[0]
        chosen = skin & (mean[:, 1] - frame.brow > low)
        kept = faces[chosen[faces].all(1)]
        vertex, packed = torch.unique(kept, return_inverse=True)
        return cls(vertex, packed, bare[vertex])

    @property
    def count(self) -> int:
        """Number of vertices."""
        return len(self.vertex)

    def on(
        self,
        vertices: Float[Tensor, "B V 3"],
        normals: Float[Tensor, "B V 3"],
        frame: FaceFrame,
        style: HairStyle,
        draw: ShellDraw,
    ) -> Prop:
        """The shell on heads."""
        points, normal = vertices[:, self.vertex], normals[:, self.vertex]
        height = points[..., 1] - frame.brow[:, None]
        dense, thick = _bumps(points, draw).unbind(-1)
        above = height - _along_line(_angle(points, frame), style.line) + 3.0 * dense
        grown = (above / SOFT).clamp(0, 1)
        grown = grown.sqrt() * (3 - grown) / 2
        grown = torch.where(self.bare & (style.long == 0.0)[:, None], 0.0, grown)
        thickness = style.thickness[:, None]
        uneven = style.lumps[:, None] * thick + 0.08 * thickness * draw.uneven
        rise = torch.where(grown > 0, grown * (thickness + uneven).clamp_min(1.5), UNDER)
        lift = 0.3 * rise.clamp_min(0) * (height > 0)
        placed = points + rise[..., None] * normal
        placed = torch.stack([placed[..., 0], placed[..., 1] + lift, placed[..., 2]], -1)
        color = style.color[:, None] * draw.shade.exp()
        there = self._of_seen_triangles(rise > 0)
        return Prop(placed, color, torch.full_like(rise, GLOSS), _strand(points, frame), there)

    def _of_seen_triangles(self, risen: Tensor) -> Tensor:
        """What lies below the skin everywhere is taken away: near the rim of the mesh it would show."""
        seen = risen[:, self.faces].any(-1)
        count = torch.zeros(risen.shape, device=risen.device)
        corners = seen[..., None].expand(-1, -1, 3).flatten(1).to(count.dtype)
        return count.index_add_(1, self.faces.flatten(), corners) > 0


HANGING_FACES = grid_faces(ROWS, COLUMNS, around=False)
HANGING_COUNT = ROWS * COLUMNS


def draw_hanging(rng: np.random.Generator) -> HangingDraw:
    """What is random of hanging hair."""
    ragged = 8.0 * rng.normal(size=COLUMNS)
    waves, phase, drift = rng.integers(6, 14), rng.uniform(0, 6), rng.normal()
    fall = 0.12 * rng.uniform(0, 1)
    shade = 0.12 * rng.normal(size=(HANGING_COUNT, 1))
    return HangingDraw(row(ragged), row(waves), row(phase), row(drift), row(fall), row(shade))


def hanging_hair(frame: FaceFrame, style: HairStyle, draw: HangingDraw) -> Prop:
    """Hair that hangs from the shell around the back of the neck, open towards the face."""
    device, shape = draw.phase.device, (len(draw.phase), ROWS, COLUMNS)
    share = torch.linspace(0, 1, COLUMNS, device=device)
    down = torch.linspace(0, 1, ROWS, device=device)[:, None]
    right, left = style.opening[:, 0, None], style.opening[:, 1, None]
    angle = right + share * (2 * torch.pi - right - left)  # (B, C)
    start, end = frame.brow + 25.0, frame.ear[:, 1] - style.long
    fallen = (end - start)[:, None] + draw.ragged
    height = _cell(start) + down * fallen[:, None]
    swell = _cell(style.thickness) * (0.5 + 0.5 * (torch.pi * (down * 1.3).clamp(0, 1)).sin())
    phase = (angle * draw.waves[:, None] + draw.phase[:, None])[:, None]
    wave = 2.5 * (phase + 3 * down * _cell(draw.drift)).sin()
    fall = 1.0 - down * _cell(draw.fall)
    wide = (_cell(frame.ear[:, 0]) + swell * 0.8 + wave) * fall
    deep = (_cell(0.92 * (frame.bridge[:, 2] - frame.middle)) + swell * 0.6 + wave) * fall
    around = angle[:, None]
    points = [-around.sin() * wide, height, _cell(frame.middle) + around.cos() * deep]
    strand = [(around / (2 * torch.pi)).expand(shape), (0.4 + 0.6 * down).expand(shape)]
    color = style.color[:, None] * draw.shade.exp()
    gloss = torch.full_like(draw.shade[..., 0], GLOSS)
    there = torch.ones_like(gloss, dtype=torch.bool)
    return Prop(
        torch.stack(points, -1).flatten(1, 2), color, gloss, torch.stack(strand, -1).flatten(1, 2), there
    )


def _cell(values: Float[Tensor, " B"]) -> Float[Tensor, "B 1 1"]:
    return values[:, None, None]


def _angle(points: Float[Tensor, "B N 3"], frame: FaceFrame) -> Float[Tensor, "B N"]:
    """Radians from the front around the vertical axis, 0 to pi."""
    return torch.atan2(points[..., 0].abs(), points[..., 2] - frame.middle[:, None])


def _along_line(angle: Float[Tensor, "B N"], line: Float[Tensor, "B 7"]) -> Float[Tensor, "B N"]:
    """Heights of a line given at ``CORNERS``, straight between them."""
    height = line[:, :1].expand(angle.shape)
    for k in range(len(CORNERS) - 1):
        share = ((angle - CORNERS[k]) / (CORNERS[k + 1] - CORNERS[k])).clamp(0, 1)
        height = height + share * (line[:, k + 1] - line[:, k])[:, None]
    return height


def _bumps(points: Float[Tensor, "B N 3"], draw: ShellDraw) -> Float[Tensor, "B N 2"]:
    total = points.new_zeros(*points.shape[:2], 2)
    x, y, z = points.unbind(-1)
    for wave, phase, strength in zip(
        draw.wave.unbind(1), draw.phase.unbind(1), draw.strength.unbind(1), strict=True
    ):
        at = x * wave[:, :1] + y * wave[:, 1:2] + z * wave[:, 2:] + phase[:, None]
        total = total + at.sin()[..., None] * strength[:, None]
    return total


def _strand(points: Float[Tensor, "B N 3"], frame: FaceFrame) -> Float[Tensor, "B N 2"]:
    x, y, z = points.unbind(-1)
    y, z = y - frame.brow[:, None], z - frame.middle[:, None]
    across = (torch.atan2(-x, z) / (2 * torch.pi)).remainder(1.0)
    along = torch.atan2(torch.hypot(x, z), y) / torch.pi
    return torch.stack([across, along.clamp(0, 1)], -1)
