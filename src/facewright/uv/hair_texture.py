"""Colour and cover of a hair shell as a map: as its photo shows them, and combed hair where it does not."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.ndimage import label
from torch import Tensor

from facewright.core.errors import InputError
from facewright.image.pyramid import enlarge, planes, push_pull, shrink
from facewright.image.smoothstep import smoothstep
from facewright.models.hair_cap import HairCap
from facewright.models.hair_mesh import HairShell
from facewright.uv.bake import fill_gutter
from facewright.uv.chart import UvChart
from facewright.uv.complete import OFFSET
from facewright.uv.hair_grain import GrainLayout, GrainPieces, laid_out
from facewright.uv.unwrap import UvSamples

SEEN = (0.05, 0.4)  # confidences from which on the photo tells whether there is hair
SURE = (0.55, 0.85)  # shares of hair whose colour is believed
ODD = (0.4, 0.8)  # deviations (log) from the hair's colour that are doubted...
OUTLINE = (8.0, 25.0)  # ... this near (mm) to the outline of the head in the photo
WHOLE, ISLAND, WHOLE_ROUNDS = (0.6, 0.8), (0.15, 0.35), 30  # shares of hair around, and how far that is
EAR_ROUNDS = 10
RAGGED = 0.2  # share of hair that locks change where it ends
LEAST_PIECE = 0.1  # of the largest piece of hair, below which a piece is a scrap that would float in the air
BESIDE = np.radians([82.0, 100.0])  # angles from the front between which that begins...
LOW = (30.0, 0.0)  # ... and mm above the brows
EDGE = (0.42, 0.58)  # shares of hair between which the shell's border lies
# Linear colours of hats, with so much light added that black has no hue. Of 50 portraits with hair one has
# less green than 0.98 times its blue (0.88, its strands evenly strong), none more red than 3.6 times green.
BLUE, BLUISH, RED, WHITE, BLACK = 0.8, 0.95, 3.9, 0.85, 1e-3
UNEVEN = 3.0  # of pieces that are little blue: 1.9 in that portrait, 3.2 to 8 in hats
# Angles (radians from the front) and heights (mm above the brows) of the rim of a hat that no photo shows.
HAT_ANGLES, HAT_RIM = (
    np.radians([50.0, 72.0, 98.0, 125.0, 180.0]),
    np.array([-300.0, -15.0, -18.0, -30.0, -40.0]),
)
HAT_SOFT = 6.0  # mm
COARSE = 4  # texels of a block in which colour is carried on
REACH = 3e-3  # weight of the median colour beside what is seen, per block
LEAST_BLOCKS = 8


@dataclass(frozen=True)
class HairChart:
    """What the hair maps of all heads of one model share; make it once.

    Attributes:
        chart: the cap's texels.
        grain: where pieces of hair lie in it.
        fields: how far a texel lies around an ear, within the cap's rim, and behind the face; and whether
            above (positive) or below the rim of a hat.
    """

    chart: UvChart
    grain: GrainLayout
    fields: Float[Tensor, "S S 4"]

    @classmethod
    def of(cls, cap: HairCap, mean: Float[Tensor, "V 3"], size: int) -> "HairChart":
        """Rasterise the chart of a cap on the mean head (mm).

        Raises:
            InputError: the size is not one of a map.
        """
        chart = UvChart.of(cap.mesh.topology.to(mean.device), size)
        # Or the fine mesh of ears would be seen.
        ears = cap.smoothed(np.logical_or(*cap.ears).astype(float), EAR_ROUNDS)
        behind = ((np.abs(cap.angle) - BESIDE[0]) / (BESIDE[1] - BESIDE[0])).clip(0, 1)
        behind *= ((LOW[0] - cap.height) / (LOW[0] - LOW[1])).clip(0, 1)
        hat = ((cap.height - np.interp(np.abs(cap.angle), HAT_ANGLES, HAT_RIM)) / HAT_SOFT).clip(-1, 1)
        fields = torch.from_numpy(cap.mesh.spread(np.stack([ears, cap.inner, behind, hat], 1))).to(mean)
        return cls(chart, GrainLayout.of(cap, chart, mean), chart.scatter(chart.gather(fields)))


def wide_cover(cap: HairCap, shell: HairShell) -> Float[Tensor, " M"]:
    """The cover of a shell, smooth over some centimetres."""
    own = shell.cover[: len(cap.vertex)].double().cpu().numpy()
    return torch.from_numpy(cap.mesh.spread(cap.smoothed(own, WHOLE_ROUNDS))).to(shell.cover)


def hair_map(
    chart: HairChart,
    shell: HairShell,
    samples: UvSamples,
    whole: Float[Tensor, " M"],
    pieces: GrainPieces | None = None,
) -> Float[Tensor, "S S 4"]:
    """Albedo (linear RGB) and cover of a shell.

    Args:
        chart: of the model.
        shell: of the head.
        samples: of the photo on the head with its shell; ``covered`` tells the share of hair.
        whole: ``wide_cover`` of the shell.
        pieces: of the photo's hair; None: it shows too little of it.
    """
    layout = chart.chart
    cover, wide = layout.scatter(layout.gather(torch.stack([shell.cover, whole], 1))).split(1, dim=-1)
    ear, inner, behind, hat_rim = chart.fields.split(1, dim=-1)
    if samples.covered is None or samples.inside is None:
        raise InputError("the hair's colour needs to know where the photo shows hair: unwrap with a cover.")
    seen = smoothstep(samples.confidence, SEEN)
    # What is seen is finer, but whether an ear lies free is told by all of it.
    cover = torch.lerp(cover, samples.covered, seen * (1 - ear))
    # No holes deep in the hair, and no islands far from it.
    cover = torch.maximum(cover * smoothstep(wide, ISLAND), smoothstep(wide, WHOLE) * (1 - ear))
    cover = torch.minimum(cover, inner)
    logs = (samples.color + OFFSET).log()
    trust = samples.confidence * smoothstep(samples.covered, SURE)
    trust = trust * _like_the_rest(logs, trust, samples.inside)
    hat = _is_hat(samples.color, trust, pieces)
    grain = layout.scatter(laid_out(chart.grain, pieces))
    grain = torch.zeros_like(grain) if hat else grain
    # Where no photo tells, hair ends by locks.
    light = grain.mean(-1, keepdim=True)
    light = (light / light.square().mean().sqrt().clamp_min(1e-6)).clamp(-1, 1)
    cover = cover + RAGGED * behind * (1 - seen) * light * (4 * cover * (1 - cover))
    if hat:
        cover = torch.minimum(cover, 0.5 + 0.5 * hat_rim)
    cover = cover * _in_one_piece(cover > EDGE[0])
    color = _colored(planes(grain), planes(logs), planes(trust), one_hue=not hat)
    albedo = (color[0].permute(1, 2, 0).exp() - OFFSET).clamp(0, 1)
    return fill_gutter(layout, torch.cat([albedo, smoothstep(cover, EDGE)], dim=-1))


def _in_one_piece(hair: Bool[Tensor, "S S 1"]) -> Float[Tensor, "S S 1"]:
    """0 for scraps of hair, 1 elsewhere."""
    found: Any = label(hair[..., 0].cpu().numpy())
    pieces = found[0]
    if not pieces.any():
        return torch.ones_like(hair, dtype=torch.float32)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = sizes[1:].max()  # what is no hair is left as it is
    kept = sizes >= LEAST_PIECE * sizes[0]
    return torch.from_numpy(kept[pieces]).to(hair.device).float()[..., None]


def _is_hat(color: Float[Tensor, "S S 3"], trust: Float[Tensor, "S S 1"], pieces: GrainPieces | None) -> bool:
    """Whether the median colour is none that hair has: bluer, redder or whiter than any.

    What is a little blue is one only if its pieces vary in strength: cloth is smooth but for badges.
    """
    sure = (trust > 0.5)[..., 0]
    if int(sure.sum()) < LEAST_BLOCKS:
        return False
    red, green, blue = (color[sure].median(0).values + BLACK).tolist()
    if green < BLUE * blue or red > RED * green or min(red, green, blue) > WHITE:
        return True
    return pieces is not None and pieces.uneven > UNEVEN and green < BLUISH * blue


def _like_the_rest(
    logs: Float[Tensor, "S S 3"], trust: Float[Tensor, "S S 1"], inside: Float[Tensor, "S S 1"]
) -> Float[Tensor, "S S 1"]:
    """0 for what has another hue or tone than the hair and is near the outline: background that is seen."""
    sure = (trust > 0.5)[..., 0]
    if int(sure.sum()) < LEAST_BLOCKS:
        return torch.ones_like(trust)
    away = logs - logs[sure].median(0).values
    tone = away.mean(-1, keepdim=True)
    hue = (away - tone).abs().amax(-1, keepdim=True)
    likeness = 1 - smoothstep(tone.abs() / 3 + 2 * hue, ODD)
    return torch.maximum(likeness, smoothstep(inside, OUTLINE))


def _colored(
    grain: Float[Tensor, "1 3 S S"],
    logs: Float[Tensor, "1 3 S S"],
    trust: Float[Tensor, "1 1 S S"],
    *,
    one_hue: bool,
) -> Float[Tensor, "1 3 S S"]:
    """Logarithms of the colour everywhere: seen ones, or their smooth continuation with strands."""
    logs = torch.where(trust > 0, logs, 0)
    coarse, weight = shrink(logs, trust.square(), COARSE)
    shown = (weight > 0.3)[0, 0]
    if int(shown.sum()) < LEAST_BLOCKS:
        shown = (weight > 0)[0, 0]
    if not bool(shown.any()):
        return torch.full_like(logs, float(np.log(0.05)))
    typical = coarse[0][:, shown].median(1).values[None, :, None, None]
    own = weight + REACH
    smooth = push_pull((coarse * weight + typical * REACH) / own, own)
    if one_hue:
        # Brightness goes on from what is seen, the hue is that of all hair: what is beside it shines in.
        smooth = smooth.mean(1, keepdim=True) + typical - typical.mean(1, keepdim=True)
    base = enlarge(smooth, COARSE, logs.shape[-2:])
    return torch.lerp(base + grain, logs, smoothstep(trust, (0.1, 0.7)))
