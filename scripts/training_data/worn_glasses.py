"""Bare faces with drawn spectacles, whose pixels are known: what the glasses network learns from."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from facewright.detection.glasses_look import CLASSES, RATIO, band_from_photo, cut_band
from facewright.geometry.normals import vertex_normals
from facewright.models.glasses import GlassesSeat, GlassesShape
from facewright.models.glasses_mesh import ANGLES, RIM, GlassesMesh, GlassesParts, glasses_mesh
from facewright.render.rasterize import rasterize
from facewright.scene.camera import Camera
from facewright.scene.pose import Pose

STORED = 320  # px, width of a stored band
SUPERSAMPLE = 2
SIZE = (SUPERSAMPLE * STORED // RATIO, SUPERSAMPLE * STORED)
LABEL = 2  # px of a stored band to a label
BRIGHT = 1.3  # times the bright skin of a photo that white is
GREY = 0.01  # mean difference of the channels up to which a photo is grey
SOFT = 0.45  # px of a photo by which its own resolution blurs it


@dataclass(frozen=True)
class Look:
    """How drawn spectacles look.

    Attributes:
        parts: of the frame.
        color: sRGB of each ring of the rims, then of bridge, temples and lenses.
        opaque: of the frame.
        gloss: strength of its highlights.
        lens: opacity of the lenses at their top and bottom.
        edge: visibility of the lenses' edges.
        glare: (strength, slope, offset, width) of a reflection in each lens.
        shadow: (strength, right px, down px, blur px) of what falls on the skin.
        dark: whether the eyes are hidden.
    """

    parts: GlassesParts
    color: np.ndarray
    opaque: float
    gloss: float
    lens: tuple[float, float]
    edge: float
    glare: np.ndarray
    shadow: tuple[float, float, float, float]
    dark: bool


def draw_shape(rng: np.random.Generator) -> GlassesShape:
    """A shape at random: round, oval, square, panto, aviator, cat eye."""
    width = rng.uniform(20.5, 30)
    height = np.clip(width * rng.uniform(0.5, 0.95), 11, 27)
    square = np.exp(rng.uniform(np.log(1.9), np.log(4.5), 2))
    if rng.random() < 0.15:  # round
        height, square = width * rng.uniform(0.9, 1.0), np.array([2.0, 2.0])
    aviator = rng.random() < 0.15
    lean = rng.uniform(-0.25, -0.08) if aviator else rng.normal(0, 0.04)
    taper = rng.uniform(0.05, 0.2) if aviator else rng.uniform(-0.03, 0.14)
    slant = rng.uniform(0.05, 0.2) if rng.random() < 0.12 else rng.normal(0.01, 0.025)
    return GlassesShape(
        width,
        float(height),
        float(square[0]),
        float(square[1]),
        taper,
        slant,
        lean,
        apart=width + rng.uniform(6.5, 11),
        right=rng.normal(0, 0.8),
        up=rng.normal(-3.5, 2.5) if rng.random() < 0.9 else rng.uniform(-14, -6),
        before=rng.uniform(9, 17),
        roll=np.radians(rng.normal(0, 1.3)),
    )


def draw_look(rng: np.random.Generator) -> Look:
    """Frame, colours, lenses and light at random."""
    metal = rng.random() < 0.5
    thick = rng.uniform(0.35, 0.9) if metal else np.exp(rng.uniform(np.log(0.8), np.log(3.0)))
    around, there = np.full(RIM, thick), np.ones(RIM, dtype=bool)
    color = np.repeat(_frame_color(metal, rng)[None], RIM + 3, 0)
    top, kind = np.sin(ANGLES) > rng.uniform(-0.3, 0.35), rng.random()
    if kind < 0.12:  # brow line: a heavy top over a thin wire
        around = np.where(top, rng.uniform(1.3, 3.0), rng.uniform(0.35, 0.7))
        color[:RIM][~top] = _frame_color(True, rng)
    elif kind < 0.24:  # half rim
        there = top
    elif kind < 0.38:  # none
        there[:] = False
        thick = min(thick, 0.9)
    elif not metal:
        around = thick * (1 + rng.uniform(-0.3, 0.3) * np.sin(ANGLES) + rng.uniform(0, 0.3) * np.cos(ANGLES))
    if rng.random() < 0.15:
        color[RIM + 1] = _frame_color(rng.random() < 0.5, rng)
    parts = GlassesParts(around, there, min(thick * rng.uniform(0.8, 1.3), 2.2), rng.uniform(0.5, 1.8))
    dark, tinted = rng.random() < 0.15, rng.random() < 0.15
    lens = rng.uniform(0.82, 1.0) if dark else rng.uniform(0.15, 0.55) if tinted else rng.uniform(0, 0.1)
    fade = rng.uniform(0.6, 1.0) if dark and rng.random() < 0.3 else 1.0
    color[RIM + 2] = np.array([0.03, 0.03, 0.03]) + rng.uniform(0, 0.25, 3) * (rng.random() < 0.5)
    strength = rng.uniform(0.1, 0.9) if rng.random() < 0.3 else 0.0
    glare = np.array([strength, rng.normal(0, 1), rng.normal(0, 0.6), rng.uniform(0.1, 0.8)])
    shadow = (rng.uniform(0, 0.5), rng.normal(0, 2.5), rng.uniform(0, 6), rng.uniform(0.7, 3))
    opaque = rng.uniform(0.35, 0.8) if not metal and rng.random() < 0.15 else 1.0
    gloss = rng.uniform(0.3, 1.0) if metal else rng.uniform(0, 0.6)
    edge = rng.uniform(0.05, 0.5) if not there.all() else 0.0
    return Look(parts, color, opaque, gloss, (lens, lens * fade), edge, glare, shadow, dark)


def _frame_color(metal: bool, rng: np.random.Generator) -> np.ndarray:
    """A colour in sRGB."""
    if metal:
        kinds = np.array([[0.75, 0.62, 0.35], [0.72, 0.72, 0.72], [0.35, 0.35, 0.37], [0.15, 0.13, 0.12]])
        return (kinds[rng.integers(len(kinds))] * rng.uniform(0.7, 1.25)).clip(0, 1)
    kind = rng.random()
    if kind < 0.5:
        return np.full(3, rng.uniform(0.01, 0.18))
    if kind < 0.75:
        return np.array([0.42, 0.24, 0.12]) * rng.uniform(0.4, 1.7)
    return rng.uniform(0, 1, 3) if kind < 0.9 else rng.uniform(0.7, 1.0) * np.array([1.0, 0.97, 0.92])


def wear(
    photo: Tensor,
    frame: np.ndarray,
    head: tuple[Tensor, Tensor, GlassesSeat],
    seen: tuple[Pose, Camera],
    drawn: tuple[GlassesShape, Look],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Spectacles on the face of a photo.

    Args:
        photo: (3, H, W) sRGB.
        frame: of its band.
        head: vertices (mm, head frame), triangles and seat of the fitted head.
        seen: its pose and the photo's camera.
        drawn: what is drawn.
        rng: of the light.

    Returns:
        The band (h, w, 3) and how much each class but the first covers its pixels (h / 2, w / 2, 4), uint8.
    """
    (vertices, faces, seat), (shape, look) = head, drawn
    band = cut_band(photo, frame, STORED)[0]
    mesh = glasses_mesh(shape, seat, look.parts)
    layers = _layers(mesh, (vertices, faces), seen, frame, look, rng)
    reads = frame[0, 2] / STORED  # px of the photo to one of the band
    if reads < 1:  # no sharper than the photo
        layers = _blurred(layers, SUPERSAMPLE * SOFT / reads)
    small = avg_pool2d(layers[None], SUPERSAMPLE)[0]
    for paint in (small[:3], small[4:7]):
        paint *= (BRIGHT * float(band.quantile(0.8))) ** rng.uniform(0.5, 1.0)  # in the light of the photo
        if float((band - band.mean(0)).abs().mean()) < GREY:
            paint[:] = paint.mean(0)
    body, clear, shade = small[:4], small[4:8], small[8:9]
    strength, right, down, soft = look.shadow
    cast = torch.roll(shade, (round(down), round(right)), (1, 2))
    band = band * (1 - strength * _blurred(cast, soft).clamp(0, 1))
    for layer in (clear, body):
        band = band * (1 - layer[3:]) + layer[:3]
    label = avg_pool2d(layers[None, 9:], SUPERSAMPLE * LABEL)[0]
    return _bytes(band), _bytes(label)


def plain(photo: Tensor, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The band of a bare face."""
    label = np.zeros((STORED // RATIO // LABEL, STORED // LABEL, len(CLASSES) - 1), np.uint8)
    return _bytes(cut_band(photo, frame, STORED)[0]), label


def _blurred(planes: Tensor, sigma: float) -> Tensor:
    return torch.from_numpy(gaussian_filter(planes.numpy(), (0, sigma, sigma)))


def _near_border(mask: Tensor) -> Tensor:
    """Whether something else is less than a mm away."""
    return max_pool2d((~mask)[None, None].float(), 5, 1, 2)[0, 0] > 0


def _bytes(planes: Tensor) -> np.ndarray:
    return (planes.clamp(0, 1).permute(1, 2, 0) * 255 + 0.5).to(torch.uint8).numpy()


def _layers(
    mesh: GlassesMesh,
    head: tuple[Tensor, Tensor],
    seen: tuple[Pose, Camera],
    frame: np.ndarray,
    look: Look,
    rng: np.random.Generator,
) -> Tensor:
    """Frame and lenses (colour times opacity, opacity), the frame's shadow mask, and the classes' shares."""
    (skin, faces), (pose, camera) = head, seen
    own = torch.from_numpy(mesh.vertices).float()
    points = pose.camera_from_head(torch.cat([skin, own])[None])
    pixels = camera.project(points)
    unit = band_from_photo(pixels[0, :, :2].double().numpy(), frame)
    placed = torch.from_numpy(unit * [SIZE[1], SIZE[0]]).float()
    pixels = torch.cat([placed[None], pixels[..., 2:]], -1)
    triangles = torch.from_numpy(np.ascontiguousarray(mesh.faces)) + len(skin)
    solid, lenses = triangles[: mesh.frame], triangles[mesh.frame :]
    first = rasterize(pixels, torch.cat([faces, solid]), SIZE, perspective=True, cull_back_faces=True)
    second = rasterize(pixels, lenses, SIZE, perspective=True)
    place = torch.from_numpy(mesh.place)
    normals = vertex_normals(points, torch.cat([faces, triangles]))[0]
    front = first.triangle[0] >= len(faces)
    corner = solid[(first.triangle[0] - len(faces)).clamp_min(0), 0]
    where = place[corner - len(skin)]
    paint = _shaded(torch.from_numpy(look.color).float()[where], normals[corner], look.gloss, rng)
    alpha = front.float() * look.opaque
    nothing_before = (first.depth[0] <= 0) | (second.depth[0] < first.depth[0]) | front
    lens = (second.triangle[0] >= 0) & nothing_before
    edge = lens & _near_border(lens | front)
    glass = _glass(lens, edge, look)
    shade = (front | (lens & (look.lens[0] > 0.3)))[None].float()
    rim, bar = front & (where < RIM), front & (where >= RIM)
    clear = lens & ~front
    shares = torch.stack([rim, bar, clear & (not look.dark), clear & look.dark]).float()
    body = torch.cat([(paint * alpha[..., None]).permute(2, 0, 1), alpha[None]])
    return torch.cat([body, glass, shade, shares])


def _shaded(color: Tensor, normal: Tensor, gloss: float, rng: np.random.Generator) -> Tensor:
    light = torch.tensor([rng.normal(0, 0.6), -rng.uniform(0.2, 1.2), -1.0])
    light = light / light.norm()
    bright = rng.uniform(0.5, 1.0) * (0.45 + 0.55 * (normal @ light).clamp_min(0))[..., None]
    half = light + torch.tensor([0.0, 0.0, -1.0])
    shine = (normal @ (half / half.norm())).clamp_min(0) ** rng.uniform(8, 60)
    return (color * bright + gloss * shine[..., None]).clamp(0, 1)


def _glass(lens: Tensor, edge: Tensor, look: Look) -> Tensor:
    height, width = lens.shape
    row, column = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    rows = lens.any(1).nonzero()
    low, high = (int(rows.min()), int(rows.max())) if len(rows) else (0, height - 1)
    share = ((torch.arange(height) - low) / max(high - low, 1)).clamp(0, 1)[:, None]
    opaque = (look.lens[0] + (look.lens[1] - look.lens[0]) * share).expand(height, width)
    strength, slope, offset, wide = look.glare
    away = (row + slope * column * 2 - offset * 0.5).abs() / wide
    glare = strength * (1 - away).clamp(0, 1).sqrt()
    tint = torch.tensor(look.color[-1]).float()[:, None, None]
    color = tint * opaque * (1 - glare) + glare
    alpha = opaque * (1 - glare) + glare
    alpha = torch.where(edge, alpha.clamp_min(look.edge), alpha)
    color = torch.where(edge & (look.edge > 0), color.clamp_min(0.75 * look.edge), color)
    return torch.cat([color, alpha[None]]) * lens
