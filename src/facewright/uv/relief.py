"""Relief of the skin: folds, wrinkles and pores, finer than the mesh, guessed from how dark the skin is."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from facewright.image.pyramid import blur, enlarge, planes, shrink
from facewright.image.smoothstep import smoothstep
from facewright.uv.complete import OFFSET
from facewright.uv.head_chart import HeadChart

COARSER = 2  # texels of the albedo map along a side of one of relief: finer than a pore nothing is told
# Standard deviation in texels of ``blur`` with a radius of 1, which splits two bands.
SPLIT = (2 * (3**2 - 1) / 12) ** 0.5
# Share of relief below which a texel is left out, so that hair and cloth beside skin do not count.
SKIN = 0.25
LEAST_SQUARE = 0.1  # of the sine between u and v on the skin: texels that are squeezed flat tell no slope
# Red of brows and beard over that of the skin around, from which on they are hair, and all hair.
HAIR = (0.85, 0.35)
UNDER_HAIR = 0.85  # of the relief that is left out where all is hair, which is dark without being deep


@dataclass(frozen=True)
class SkinRelief:
    """What a map of colours tells of a head's surface; row 0 is v = 1, both 0 where no skin is.

    Attributes:
        slopes: mm of height a mm of way on the average head, along u and at right angles to it on the side of
            v; out of the head is up.
        hair: share of the hair of brows and beard.
    """

    slopes: Float[Tensor, "R R 2"]
    hair: Float[Tensor, "R R 1"]


@dataclass(frozen=True)
class ReliefSettings:
    """How dark is taken for deep.

    Attributes:
        depth: of a place that is darker than around by a factor of e, over the width (standard deviation) of
            what is around.
        noise: differences of log red below which nothing is taken for relief.
        most: difference of log red that differences come close to, however dark a place is: paint, moles.
        widest: mm, standard deviation of what is around the widest folds; wider, it is shade.
        steepest: slope that slopes come close to.
        border: part of the neighbourhood that is skin, from which on there is relief, and all of it: what is
            beside skin is no fold of it.
    """

    depth: float = 1.5
    noise: float = 0.012
    most: float = 0.4
    widest: float = 7.0
    steepest: float = 0.8
    border: tuple[float, float] = (0.6, 1.0)


def skin_relief(
    chart: HeadChart, albedo: Float[Tensor, "S S 3"], settings: ReliefSettings = ReliefSettings()
) -> SkinRelief:
    """Relief of a head, at half the resolution of its albedo map.

    A guess that looks right, not a measurement: light hardly gets into folds and pores, so what is darker
    than the skin around lies deeper, by a share of its width. Red is looked at because pigment and blood
    show least in it.

    Args:
        chart: of the head.
        albedo: linear RGB, complete. Where the photo's light is not divided out, its shade is taken for
            relief, too.
        settings: how dark is taken for deep.

    **Source:** Beeler et al. 2010, High-Quality Single-Shot Capture of Facial Geometry (mesoscopic
    augmentation); Glencross et al. 2008, A Perceptually Validated Model for Surface Depth Hallucination
    (depth in proportion to width).
    **Differs:** all bands of a pyramid, not one; log of red; the mesh is left as it is.
    """
    size = -(-albedo.shape[0] // COARSER)
    slopes, hair = albedo.new_zeros(size, size, 2), albedo.new_zeros(size, size, 1)
    there = (chart.face + chart.rim).amax((1, 2)).nonzero()[:, 0]
    if len(there) == 0:
        return SkinRelief(slopes, hair)
    first, last = int(there[0]) // COARSER, -(-(int(there[-1]) + 1) // COARSER)
    rows = slice(first * COARSER, last * COARSER)
    lips = chart.lips[rows]
    share = torch.maximum(chart.face[rows] - lips, chart.grained[rows])
    ways = [COARSER * chart.pitch[rows], chart.shear[rows]]
    told = torch.cat([share, lips, chart.hairy[rows], albedo[rows, :, :1], *ways], -1)
    told = functional.avg_pool2d(planes(told), COARSER, ceil_mode=True)
    share, lips, hairy, red, pitch, shear = told.split((1, 1, 1, 1, 2, 1), 1)
    red, pitch = (red + OFFSET).log(), pitch.clamp_min(1e-3)
    # Lips are darker than skin without being deeper.
    mean_pitch = pitch.mean(1, keepdim=True)
    height = _height(red, share, mean_pitch, settings) + _height(red, lips, mean_pitch, settings)
    own = _hair(red, hairy, share)
    height = height * (1 - UNDER_HAIR * blur(own, 2, torch.ones_like(own)))
    slopes[first:last] = _slopes(height, pitch, shear, settings.steepest)[0].permute(1, 2, 0)
    hair[first:last] = own[0].permute(1, 2, 0)
    return SkinRelief(slopes, hair)


def _height(red: Tensor, share: Tensor, pitch: Tensor, settings: ReliefSettings) -> Float[Tensor, "1 1 R S"]:
    """Height in mm within one area, band by band, fine to coarse."""
    skin = (share > SKIN).to(red)
    typical = float((pitch * skin).sum() / skin.sum().clamp_min(1))
    values, weights, width = red, skin, SPLIT  # texels
    bands, sizes = [], []
    while width * typical < settings.widest and min(values.shape[-2:]) > 2:
        wide = blur(values, 1, weights)
        bands.append(((values - wide) * (weights > 0), weights, width))
        sizes.append(values.shape[-2:])
        values, weights = shrink(wide, weights, 2)
        width *= 2
    height = torch.zeros_like(values)
    for (band, weight, width), size in zip(reversed(bands), reversed(sizes), strict=True):
        dark = settings.most * torch.tanh(band / settings.most)
        dark = dark.sign() * (dark.abs() - settings.noise).clamp_min(0)
        inner = smoothstep(blur(weight, 2, torch.ones_like(weight)), settings.border)
        height = enlarge(height, 2, size) + settings.depth * width * inner * dark
    return height * pitch * share * skin


def _slopes(height: Tensor, pitch: Tensor, shear: Tensor, steepest: float) -> Float[Tensor, "1 2 R S"]:
    around = functional.pad(height, (1, 1, 1, 1), mode="replicate")
    along_u = (around[..., 1:-1, 2:] - around[..., 1:-1, :-2]) / (2 * pitch[:, :1])
    along_v = (around[..., :-2, 1:-1] - around[..., 2:, 1:-1]) / (2 * pitch[:, 1:])
    across_u = (along_v - shear * along_u) / (1 - shear.square()).clamp_min(LEAST_SQUARE).sqrt()
    slopes = torch.cat([along_u, across_u], 1)
    size = slopes.norm(dim=1, keepdim=True)
    return slopes * (steepest * torch.tanh(size / steepest) / size.clamp_min(1e-9))


def _hair(red: Tensor, hairy: Tensor, share: Tensor) -> Float[Tensor, "1 1 R S"]:
    """How much of each texel of brows and beard is hair, by the skin of the rest of the face."""
    skin = red[(share > 0.5) & (hairy == 0)]
    if skin.numel() == 0:
        return torch.zeros_like(red)
    return hairy * smoothstep(-(red - skin.median()).exp(), (-HAIR[0], -HAIR[1]))
