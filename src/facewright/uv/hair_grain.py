"""Strands of hair in pieces, laid out over a whole cap.

**Source:** pieces of an example under overlapping windows, blended so that the variance is kept: Heitz and
Neyret 2018, High-Performance By-Example Noise using a Histogram-Preserving Blending Operator, section 3.
**Differs:** pieces lie along the way that hair is combed; windows are narrow where they meet, since locks
that are added up look like felt.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from scipy.spatial import KDTree
from torch import Tensor
from torch.nn import functional

from facewright.image.sample import sample_bilinear
from facewright.image.strands import strand_texture
from facewright.models.hair_cap import HairCap
from facewright.uv.chart import UvChart

PIECES = 170  # over a cap: one lies about 29 mm from the next
NEAREST = 3  # pieces that a texel is made of
ALONG, ACROSS = 32.0, 22.0  # mm, half of a piece
STEP = 1.0  # mm between its samples: as fine as the texels
STRETCH = 1.6  # pieces reach so much further along strands than across, where they are weighed
NARROW = 2.3  # mm of distance over which one piece gives way to the next
LEAST_SQUARES = 0.04  # of the windows' weights, below which strands fade
NEAR_SOURCES = 10  # from which the one of a place is drawn
COMBED, COMBED_PIECES = 0.06, 8  # median log ratio of combed hair to the colour around, and different pieces
SEED = 0


@dataclass(frozen=True)
class GrainPieces:
    """Pieces of hair.

    Attributes:
        rows: of the layout's pieces, where they were taken from.
        detail: what strands add to the logarithm of the colour (linear RGB), along and across them, and how
            far it is known.
        uneven: how many times stronger the strongest tenth of the pieces was than the weakest, before they
            were brought to one strength.
    """

    rows: Int64[ndarray, " E"]
    detail: Float[Tensor, "E 4 A B"]
    uneven: float = 1.0


@dataclass(frozen=True)
class GrainLayout:
    """Where the pieces of hair lie on a model's cap.

    Attributes:
        vertex: rows of the cap's vertices that are the pieces' middles.
        places: of the middles on the mean head, mm, those of the right side mirrored to the left.
        nearest: the pieces that each texel is made of.
        offset: mm, along and across the strands, from their middles to the texel.
        weight: of each of them; squares add up to 1.
        down: unit way of the strands at each vertex of the cap of the mean head.
    """

    vertex: Int64[ndarray, " P"]
    places: Float[ndarray, "P 3"]
    nearest: Int64[Tensor, "N 3"]
    offset: Float[Tensor, "N 3 2"]
    weight: Float[Tensor, "N 3"]
    down: Float[ndarray, "V 3"]

    @classmethod
    def of(cls, cap: HairCap, chart: UvChart, mean: Float[Tensor, "V 3"]) -> "GrainLayout":
        """Lay pieces over the cap of the mean head (mm); the chart is the cap's."""
        points, outward = cap.surface(mean)
        down = cap.combed(outward)
        fields = cap.mesh.spread(np.concatenate([points, outward, down], 1))
        texels = chart.gather(torch.from_numpy(fields).to(mean)).double().cpu().numpy()
        vertex = cap.samples[:PIECES]
        # Twice the nearest, of which some lie far along the other way.
        which = np.asarray(KDTree(points[vertex]).query(texels[:, :3], k=2 * NEAREST, workers=-1)[1])
        along = unit_ways(down[vertex][which] + texels[:, None, 6:])
        across = np.cross(unit_ways(outward[vertex][which] + texels[:, None, 3:6]), along)
        away = texels[:, None, :3] - points[vertex][which]
        offset = np.stack([(away * along).sum(-1), (away * across).sum(-1)], -1)
        distance = np.hypot(offset[..., 0] / STRETCH, offset[..., 1])
        order = distance.argsort(1)[:, :NEAREST]
        which, distance = (np.take_along_axis(each, order, 1) for each in (which, distance))
        offset = np.take_along_axis(offset, order[..., None], 1)
        weight = np.exp(-(distance - distance[:, :1]) / NARROW)
        weight /= np.sqrt((weight**2).sum(1, keepdims=True))
        nearest, offsets, weights = (
            torch.from_numpy(each).to(mean.device) for each in (which, offset, weight)
        )
        places = points[vertex] * [1.0, 1.0, 1.0]
        places[:, 0] = np.abs(places[:, 0])
        return cls(vertex, places, nearest, offsets.to(mean), weights.to(mean), down)


def laid_out(layout: GrainLayout, pieces: GrainPieces | None) -> Float[Tensor, "N 3"]:
    """What strands add to the logarithm of the hair's colour at each texel of the cap's chart.

    Args:
        layout: of the model.
        pieces: of a photo; None: combed hair is drawn.
    """
    rng = np.random.default_rng(SEED)
    if pieces is None:
        examples = _combed(rng).to(layout.offset)
        chosen = rng.integers(0, len(examples), len(layout.vertex))
    else:
        rows, examples = pieces.rows, pieces.detail
        count = min(len(rows), max(NEAR_SOURCES, len(rows) // 3))
        near = np.asarray(KDTree(layout.places[rows]).query(layout.places, k=count)[1])
        near = near.reshape(len(layout.places), -1)
        chosen = near[np.arange(len(near)), rng.integers(0, count, len(near))]
    flip = torch.from_numpy(rng.choice([-1.0, 1.0], len(chosen))).to(examples)
    source = torch.from_numpy(chosen).to(examples.device)[layout.nearest]
    row, column = layout.offset[..., 0] + ALONG, layout.offset[..., 1] * flip[layout.nearest] + ACROSS
    height, width = examples.shape[2:]
    # All pieces lie below each other in one picture, and none is looked up beyond its border.
    row = row.clamp(0, (height - 1) * STEP) / STEP + source * height + 0.5
    column = column.clamp(0, (width - 1) * STEP) / STEP + 0.5
    picture = examples.permute(1, 0, 2, 3).reshape(1, 4, -1, width)
    read = sample_bilinear(picture, torch.stack([column, row], -1).flatten(0, 1)[None])[0]
    detail, known = read.unflatten(0, row.shape).split((3, 1), -1)
    weight = layout.weight[..., None] * known
    total = weight.square().sum(1).clamp_min(LEAST_SQUARES).sqrt()
    return (weight * detail).sum(1) / total


def _combed(rng: np.random.Generator) -> Float[Tensor, "E 4 A B"]:
    """Drawn strands in place of a photo's."""
    height, width = (int(2 * side / STEP) + 1 for side in (ALONG, ACROSS))
    light = torch.from_numpy(strand_texture(rng)[..., 0]).log()[None, None]
    light = functional.avg_pool2d(light, (1, 2))[
        ..., : COMBED_PIECES * (light.shape[-1] // (2 * COMBED_PIECES))
    ]
    parts = torch.stack(light[0, 0].chunk(COMBED_PIECES, dim=1))[:, None]
    drawn = functional.interpolate(parts, size=(height, width), mode="bilinear", align_corners=False)
    drawn = drawn * (COMBED / drawn.abs().median())
    return torch.cat([drawn.expand(-1, 3, -1, -1), torch.ones_like(drawn)], 1)


def unit_ways(ways: Float[ndarray, "... 3"]) -> Float[ndarray, "... 3"]:
    """Ways of length 1; what has none stays 0."""
    return ways / np.linalg.norm(ways, axis=-1, keepdims=True).clip(1e-9)
