"""Pieces of the hair that a photo shows, turned until their strands run down.

**Source:** the way strands run in a piece is that of its structure tensor (Bigun and Granlund 1987, Optimal
Orientation Detection of Linear Symmetry).
"""

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor
from torch.nn import functional

from facewright.fitting.hair_view import HairView
from facewright.image.color import linear_from_srgb
from facewright.image.pyramid import blur
from facewright.image.sample import sample_bilinear
from facewright.image.smoothstep import smoothstep
from facewright.models.hair_mesh import HairShell
from facewright.uv.complete import OFFSET
from facewright.uv.hair_grain import ACROSS, ALONG, STEP, GrainLayout, GrainPieces, unit_ways

MOST_SOURCES, LEAST_SOURCES = 48, 3  # pieces of the photo
HAIRY = (0.7, 0.95)  # shares of hair of a sample from which on it is an example
FACING, MIDDLE, WHOLE = (
    0.4,
    0.6,
    0.75,
)  # least cosine to the viewer, share of hair, of the piece that is known
CALM, LARGEST = 1.5, 2.5  # times the typical strength: of a piece, and of a sample in its piece
MOST_ROUGH = 0.16  # root mean square of what strands add to the logarithm of the colour
STRAIGHT, DRAWN = (0.3, 0.5), 5  # coherences of straight hair, whose strands are drawn out by so many samples
COHERENT = 0.1  # coherence of a structure tensor below which hair has no direction
RADIUS = 110.0  # mm of a head with hair: a piece is bent as much
SHADE = 8  # samples, half width of the mean (taken twice) that is shade
CHROMA = 0.5  # of what varies in hue: in dark hair it is noise


def hair_pieces(
    layout: GrainLayout,
    view: HairView,
    shell: HairShell,
    vertices: Float[Tensor, "V 3"],
    photo: Float[Tensor, "3 H W"],
) -> GrainPieces | None:
    """Pieces of a photo's hair; None where it shows too little.

    Args:
        layout: of the model.
        view: the cap in the photo.
        shell: of the head.
        vertices: of the head with the photo's expression, mm, head frame.
        photo: sRGB.
    """
    cap = view.cap
    points = shell.on(vertices)[: len(cap.vertex)].double().cpu().numpy()
    normals = cap.normals(points)
    middle, normal = points[layout.vertex], normals[layout.vertex]
    places, pixels = view.at(middle)
    facing = view.facing(places, normal)
    beyond, hair, known = view.look.at(pixels)
    told = np.where(known & (facing > FACING) & ~view.behind_face(places, pixels), hair * (1 - beyond), 0.0)
    rows = np.flatnonzero(told > MIDDLE)
    if len(rows) < LEAST_SOURCES:
        return None
    rows = rows[np.argsort(-told[rows] * facing[rows])[:MOST_SOURCES]]
    along = unit_ways(_tangent(layout.down[layout.vertex[rows]], normal[rows]))
    across = np.cross(normal[rows], along)
    picture, scale = _reduced(photo, view, middle[rows])
    turn = np.zeros(len(rows))
    for last in (False, True):
        cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
        frame = middle[rows], cos * along + sin * across, cos * across - sin * along, normal[rows]
        logs, weight = _pieces(view, frame, picture, scale)
        whole = weight.mean((1, 2, 3)) > WHOLE
        if not last:
            light = logs.mean(1, keepdim=True)
            detail = (light - blur(light, SHADE, weight)) * weight
            turn, coherence = _turn(detail[:, 0])
            turn = turn.cpu().numpy()
    if int(whole.sum()) < LEAST_SOURCES:
        return None
    rows, logs, weight = rows[whole.cpu().numpy()], logs[whole], weight[whole]
    detail = logs - blur(logs, SHADE, weight)  # without what light and shade make
    straight = smoothstep(coherence[whole], STRAIGHT)[:, None, None, None]
    detail = torch.lerp(detail, _drawn_out(detail, weight), straight) * weight
    light = detail.mean(1, keepdim=True)
    detail = light + CHROMA * (detail - light)
    strength = detail.mean(1).square().mean((1, 2)).sqrt()
    typical = strength.median().clamp(1e-6, MOST_ROUGH)
    detail = detail * (CALM * typical / strength.clamp_min(1e-6)).clamp(max=1)[:, None, None, None]
    detail = detail.clamp(-LARGEST * typical, LARGEST * typical)
    weakest, strongest = (float(strength.quantile(share)) for share in (0.1, 0.9))
    return GrainPieces(rows, torch.cat([detail, weight], 1), strongest / max(weakest, 1e-6))


def _reduced(
    photo: Float[Tensor, "3 H W"], view: HairView, points: Float[ndarray, "P 3"]
) -> tuple[Float[Tensor, "1 3 h w"], tuple[float, float, float]]:
    """Linear colours around some points, no finer than the samples, with corner and pixels a pixel."""
    pixels = view.at(points)[1]
    beside = (view.at(points + STEP * way)[1] for way in np.eye(3)[:2])
    span = float(np.median(np.maximum(*(np.linalg.norm(each - pixels, axis=1) for each in beside))))
    room = np.hypot(ALONG, ACROSS) / STEP * span + 2
    size = np.array([photo.shape[2], photo.shape[1]])
    low = np.clip(np.floor(pixels.min(0) - room), 0, size - 2).astype(int)
    high = np.clip(np.ceil(pixels.max(0) + room), low + 2, size).astype(int)
    crop = linear_from_srgb(photo[:, low[1] : high[1], low[0] : high[0]])[None]
    factor = max(1, int(0.8 * span))
    if factor > 1:
        crop = functional.avg_pool2d(crop, factor, ceil_mode=True)
    return crop, (float(low[0]), float(low[1]), float(factor))


def _pieces(
    view: HairView,
    frame: tuple[Float[ndarray, "P 3"], Float[ndarray, "P 3"], Float[ndarray, "P 3"], Float[ndarray, "P 3"]],
    picture: Float[Tensor, "1 3 h w"],
    scale: tuple[float, float, float],
) -> tuple[Float[Tensor, "P 3 A B"], Float[Tensor, "P 1 A B"]]:
    """Logarithms of the colour around middles, along and across, and how far they are hair's."""
    middle, along, across, normal = (each[:, None, None] for each in frame)
    a = np.arange(-ALONG, ALONG + STEP, STEP)[None, :, None, None]
    b = np.arange(-ACROSS, ACROSS + STEP, STEP)[None, None, :, None]
    sunk = (a**2 + b**2) / (2 * RADIUS)
    points = middle + a * along + b * across - sunk * normal
    shape = points.shape[:3]
    pixels = view.at(points.reshape(-1, 3))[1]
    beyond, hair, known = view.look.at(pixels)
    weight = torch.from_numpy(hair * (1 - beyond) * known).to(picture)
    weight = smoothstep(weight.view(shape), HAIRY)[:, None]
    left, top, factor = scale
    places = torch.from_numpy((pixels - [left, top]) / factor).to(picture)
    color = sample_bilinear(picture, places[None])[0].view(*shape, 3).permute(0, 3, 1, 2)
    return (color + OFFSET).log(), weight


def _drawn_out(
    detail: Float[Tensor, "P C A B"], weight: Float[Tensor, "P 1 A B"]
) -> Float[Tensor, "P C A B"]:
    """Pieces that vary less along their strands, and as much as before."""
    total, share = (
        functional.avg_pool2d(each, (2 * DRAWN + 1, 1), 1, (DRAWN, 0), count_include_pad=False)
        for each in (detail * weight, weight)
    )
    drawn = total / share.clamp_min(1e-3)
    before, after = (
        (each * weight).square().mean((1, 2, 3), keepdim=True).sqrt() for each in (detail, drawn)
    )
    return drawn * before / after.clamp_min(1e-6)


def _turn(detail: Float[Tensor, "P A B"]) -> tuple[Float[Tensor, " P"], Float[Tensor, " P"]]:
    """Radians from the rows of pieces to their strands, 0 where there is no direction, and its coherence."""
    along = detail[:, 2:, 1:-1] - detail[:, :-2, 1:-1]
    across = detail[:, 1:-1, 2:] - detail[:, 1:-1, :-2]
    aa, bb, ab = (each.mean((1, 2)) for each in (along * along, across * across, along * across))
    gradient = 0.5 * torch.atan2(2 * ab, aa - bb)
    coherence = torch.hypot(aa - bb, 2 * ab) / (aa + bb).clamp_min(1e-12)
    strand = torch.remainder(gradient + torch.pi, torch.pi) - 0.5 * torch.pi
    return torch.where(coherence > COHERENT, strand, 0), coherence


def _tangent(ways: Float[ndarray, "... 3"], normals: Float[ndarray, "... 3"]) -> Float[ndarray, "... 3"]:
    return ways - (ways * normals).sum(-1, keepdims=True) * normals
