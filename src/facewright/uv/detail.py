"""Skin goes on: pores, wrinkles and blotches that photos show, continued into skin that none shows."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from facewright.image.pyramid import blur, enlarge, planes, shrink
from facewright.image.smoothstep import smoothstep
from facewright.uv.complete import OFFSET
from facewright.uv.head_chart import HeadChart
from facewright.uv.unwrap import UvSamples

COARSE = 8  # texels a side of the blocks in which places are chosen
LEAST_BLOCKS = 64  # seen ones that tell what skin is like
LEAST_WANTED = 0.01  # of a piece
LEAST_SQUARES = 0.25  # of the windows' weights, below which detail fades
STRETCH = (0.5, 3.0)  # of a piece


@dataclass(frozen=True)
class DetailSettings:
    """How the detail of seen skin is continued.

    Attributes:
        patch: side of the pieces that are taken over, as a fraction of the map; the largest detail there is.
        wide: half width of the mean that holds no detail, likewise.
        seen: confidences from which on skin is an example, and fully.
        odd: energies, relative to the median of the examples, of what is no plain skin (folds, frames of
            glasses, strands of hair, edges of a beard), from which on it is one less, and not at all.
        largest: times the typical detail that detail may be.
        whole: least share of a piece that is an example.
        pixel: sides of the photos' pixels, as fractions of the map, from which on they show less of the skin
            than of their own noise, and none of it.
        seed: of the choice of pieces.
    """

    patch: float = 1 / 16
    wide: float = 1 / 64
    seen: tuple[float, float] = (0.7, 0.95)
    odd: tuple[float, float] = (1.5, 3.0)
    largest: float = 2.5
    whole: float = 0.5
    pixel: tuple[float, float] = (1 / 200, 1 / 100)
    seed: int = 0


def continue_detail(
    chart: HeadChart,
    albedo: Float[Tensor, "S S 3"],
    samples: UvSamples,
    settings: DetailSettings = DetailSettings(),
) -> Float[Tensor, "S S 3"]:
    """The map with the detail of its seen skin also on the skin that is not seen; as it was if none is seen.

    Overlapping pieces of the skin nearby are added up, each under a window; the squares of the windows add up
    to 1, so that the sum varies as much as the pieces do, and none of them can be recognised.

    Args:
        chart: of the head.
        albedo: linear RGB, complete.
        samples: what the photos show of it.
        settings: how it is continued.

    **Source:** Heitz and Neyret 2018, High-Performance By-Example Noise using a Histogram-Preserving Blending
    Operator, section 3 (blending that keeps the variance).
    **Differs:** sine windows on a square grid; histograms are left alone, as detail is nearly Gaussian;
    pieces come from close by, since skin is not the same everywhere.
    """
    half = COARSE * max(1, round(settings.patch * chart.chart.size / (2 * COARSE)))
    rows = chart.grained.amax((1, 2)).nonzero()[:, 0]
    if len(rows) < 2 * half:
        return albedo
    # The rest of the map is neither an example nor wanted.
    rows = slice(int(rows[0]) // COARSE * COARSE, int(rows[-1]) + 1)
    resolved = 1 - smoothstep(torch.tensor(samples.texels_a_pixel / chart.chart.size), settings.pixel)
    confidence = samples.confidence
    wanted = (float(resolved) * chart.grained * (1 - _known(chart, confidence)))[rows]
    logs = (albedo[rows] + OFFSET).log()
    examples = _examples(logs, chart.plain[rows] * smoothstep(confidence[rows], settings.seen), settings)
    if examples is None:
        return albedo
    window = torch.sin(torch.pi * (torch.arange(2 * half, device=logs.device) + 0.5) / (2 * half))
    window = (window[:, None] * window)[..., None]
    windows = torch.cat([window, window, window, window.square()], -1)
    # Pieces begin half a piece before the map and end beyond it.
    height, width = wanted.shape[:2]
    grown = logs.new_zeros(height + 3 * half, width + 3 * half, 4)
    pieces = _pieces(examples, wanted, chart.pitch[rows], half, settings)
    for (row, column), down, across in zip(*pieces, strict=True):
        grown[row : row + 2 * half, column : column + 2 * half] += windows * examples[down[:, None], across]
    grown = grown[half : half + height, half : half + width]
    logs += wanted * grown[..., :3] / grown[..., 3:].clamp_min(LEAST_SQUARES).sqrt()
    result = albedo.clone()
    result[rows] = (logs.exp() - OFFSET).clamp(0, 1)
    return result


def _known(chart: HeadChart, confidence: Tensor) -> Tensor:
    """How well each texel or its counterpart on the other half is seen."""
    flat = confidence.reshape(-1)
    other = torch.where(chart.mirror >= 0, flat[chart.mirror.clamp_min(0)], 0)
    return chart.chart.scatter(torch.maximum(flat[chart.chart.texel], other)[:, None])


def _examples(
    logs: Float[Tensor, "R S 3"], skin: Float[Tensor, "R S 1"], settings: DetailSettings
) -> Float[Tensor, "R S 4"] | None:
    """What varies within seen skin, and the square of how far it is plain skin; None: too little is."""
    size, radius = logs.shape[:2], max(1, round(settings.wide * logs.shape[1] / COARSE))
    values, seen = planes(logs), planes(skin)
    # Not at the border of what is seen, where hair and glasses begin.
    inner = -max_pool2d(-avg_pool2d(seen, COARSE, ceil_mode=True), 3, 1, 1)
    seen = seen * enlarge(inner, COARSE, size)
    coarse, weight = shrink(values, seen, COARSE)
    detail = (values - enlarge(blur(coarse, radius, weight), COARSE, size)) * seen
    energy, weight = shrink(detail.mean(1, keepdim=True).square(), seen, COARSE)
    told = weight > 0.5
    if int(told.sum()) < LEAST_BLOCKS:
        return None
    energy = blur(energy, 1, weight)
    typical = energy[told].median().clamp_min(1e-12)
    plain = enlarge(1 - smoothstep(energy / typical, settings.odd), COARSE, size)
    most = settings.largest * float(typical.sqrt())
    return (
        torch.cat([detail.clamp(-most, most) * plain, (seen * plain).square()], 1)[0]
        .permute(1, 2, 0)
        .contiguous()
    )


def _pieces(
    examples: Float[Tensor, "R S 4"],
    wanted: Float[Tensor, "R S 1"],
    pitch: Float[Tensor, "R S 2"],
    half: int,
    settings: DetailSettings,
) -> tuple[list[list[int]], Int64[Tensor, "P L"], Int64[Tensor, "P L"]]:
    """Where pieces go (half a piece before the map is 0), and the rows and columns they are taken from."""
    share = avg_pool2d(avg_pool2d(planes(examples[..., 3:]), COARSE), 2 * half // COARSE, 1)[0, 0]
    share = share.cpu().numpy()
    own = np.argwhere(share >= min(settings.whole, 0.9 * share.max())) * COARSE
    asked = max_pool2d(avg_pool2d(planes(wanted), half, ceil_mode=True), 2, 1, 1)[0, 0].cpu().numpy()
    places = np.argwhere(asked > LEAST_WANTED) * half
    targets, across = places - half, [0, wanted.shape[1] - 2 * half]
    # Either half of the face will do.
    away = np.minimum(*(abs(own - each[:, None]).max(2) for each in (targets, abs(across - targets))))
    near = away <= away.min(1, keepdims=True) + 2 * half
    rng = np.random.default_rng(settings.seed)
    sources = own[np.where(near, rng.random(near.shape), -1.0).argmax(1)]
    # Where the map is stretched otherwise than there, more or less of it is taken, brought to the same size.
    mm = avg_pool2d(planes(pitch), COARSE, ceil_mode=True)[0].permute(1, 2, 0).flip(-1).cpu().numpy()
    ratio = _at(mm, targets + half) / _at(mm, sources + half)
    ratio = np.clip(ratio, *STRETCH) * rng.choice([-1, 1], ratio.shape)  # some of them mirrored
    steps = np.arange(2 * half) + 0.5 - half
    taken = sources[..., None] + half + ratio[..., None] * steps
    taken = np.clip(taken, 0, np.array(wanted.shape[:2])[:, None] - 1).astype(np.int64)
    down, along = torch.from_numpy(taken).to(wanted.device).unbind(1)
    return places.tolist(), down, along


def _at(mm: np.ndarray, texels: np.ndarray) -> np.ndarray:
    """Along rows and columns, at texels."""
    row, column = np.clip(texels // COARSE, 0, np.array(mm.shape[:2]) - 1).T
    return np.maximum(mm[row, column], 1e-6)
