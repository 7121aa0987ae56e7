"""Colour and cover of a hair shell as a map: as its photo shows them, and combed hair where it does not."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from facewright.core.errors import InputError
from facewright.geometry.mesh import Topology
from facewright.image.pyramid import blur, enlarge, planes, push_pull, shrink
from facewright.image.sample import sample_bilinear
from facewright.image.smoothstep import smoothstep
from facewright.image.strands import strand_texture
from facewright.models.hair_cap import HairCap, HairShell
from facewright.uv.bake import fill_gutter
from facewright.uv.chart import UvChart
from facewright.uv.complete import OFFSET
from facewright.uv.unwrap import UvSamples

SEEN = (0.05, 0.4)  # confidences from which on the photo tells whether there is hair
SURE = (0.55, 0.85)  # shares of hair whose colour is believed
ODD = (0.4, 0.8)  # deviations (log) from the hair's colour that are doubted...
OUTLINE = (8.0, 25.0)  # ... this near (mm) to the outline of the head in the photo
WHOLE, ISLAND, WHOLE_ROUNDS = (0.6, 0.8), (0.05, 0.2), 30  # shares of hair around
EAR_ROUNDS = 10
EDGE = (0.4, 0.6)  # shares of hair between which the shell's border lies
COARSE = 4  # texels of a block in which colour is carried on
WIDE = 1 / 40  # half width of the mean that holds no strands, as a fraction of the map
REACH = 3e-3  # weight of the median colour beside what is seen, per block
LEAST_BLOCKS = 8
MOST_ROUGH = 0.06  # median log ratio of strands to the colour around
CENTER = 100.0  # mm below the crown, around which hair is combed
SEED = 0


@dataclass(frozen=True)
class HairChart:
    """What the hair maps of all heads of one model share; make it once.

    Attributes:
        chart: the cap's texels.
        strands: hair that is combed down from the crown: logarithm of how light it is, of median size 1.
    """

    chart: UvChart
    strands: Float[Tensor, "1 1 S S"]

    @classmethod
    def of(cls, cap: HairCap, mean: Float[Tensor, "V 3"], topology: Topology, size: int) -> "HairChart":
        """Rasterise the chart of a cap.

        Raises:
            InputError: the size is not one of a map.
        """
        whole, device = UvChart.of(topology, size), topology.faces.device
        chosen = torch.zeros(len(topology.faces), dtype=torch.bool, device=device)
        chosen[cap.triangle.to(device)] = True
        chart = whole.where(chosen[whole.triangle])
        rng = np.random.default_rng(SEED)
        light = torch.from_numpy(strand_texture(rng)[..., 0]).log().to(mean)[None, None]
        light = functional.avg_pool2d(light, (1, 2))  # no finer than the texels
        light = light / light.abs().median()
        columns, rows = _around_and_down(chart.gather(mean))
        pixels = torch.stack([columns * light.shape[-1], rows * light.shape[-2]], dim=1)
        strands = chart.scatter(sample_bilinear(light, pixels[None])[0])
        return cls(chart, strands.permute(2, 0, 1)[None])


def hair_map(chart: HairChart, shell: HairShell, samples: UvSamples, count: int) -> Float[Tensor, "S S 4"]:
    """Albedo (linear RGB) and cover of a shell.

    Args:
        chart: of the model.
        shell: of the head.
        samples: of the photo on the head with its shell; ``covered`` tells the share of hair.
        count: vertices of the model.
    """
    layout = chart.chart
    cap, own = shell.cap, shell.cover.double().cpu().numpy()
    ears = cap.smoothed(np.logical_or(*cap.ears).astype(float), EAR_ROUNDS)  # or the mesh would be seen
    fields = np.stack([own, cap.smoothed(own, WHOLE_ROUNDS), ears, cap.inner], 1)
    at_vertices = shell.cover.new_zeros(count, 4)
    at_vertices[torch.from_numpy(cap.vertex)] = torch.from_numpy(fields).to(shell.cover)
    cover, wide, ear, inner = layout.scatter(layout.gather(at_vertices)).split(1, dim=-1)
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
    color = _colored(chart, planes(logs), planes(trust))
    albedo = (color[0].permute(1, 2, 0).exp() - OFFSET).clamp(0, 1)
    return fill_gutter(layout, torch.cat([albedo, smoothstep(cover, EDGE)], dim=-1))


def _around_and_down(
    points: Float[Tensor, "N 3"],
) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
    """Place around the head and down from its crown, both 0 to 1."""
    low, high = points.amin(0), points.amax(0)
    center = points.new_tensor([0.0, float(high[1]) - CENTER, 0.5 * float(low[2] + high[2])])
    x, y, z = (points - center).unbind(1)
    around = torch.atan2(x, z) / (2 * torch.pi) + 0.5
    down = torch.atan2(torch.hypot(x, z), y) / torch.pi
    return around, down


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
    chart: HairChart, logs: Float[Tensor, "1 3 S S"], trust: Float[Tensor, "1 1 S S"]
) -> Float[Tensor, "1 3 S S"]:
    """Logarithms of the colour everywhere: seen ones, or their smooth continuation with combed strands."""
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
    # Brightness goes on from what is seen; the hue is that of all hair, since what is beside it shines in.
    hue = typical - typical.mean(1, keepdim=True)
    base = enlarge(smooth.mean(1, keepdim=True), COARSE, logs.shape[-2:]) + hue
    radius = max(1, round(logs.shape[-1] * WIDE / COARSE))
    mean = enlarge(blur(coarse, radius, weight), COARSE, logs.shape[-2:])
    strands = torch.where(trust > 0.3, (logs - mean).mean(1, keepdim=True), 0)
    rough = strands[trust > 0.5].abs().median() if bool((trust > 0.5).any()) else strands.new_zeros(())
    carried = chart.strands * rough.clamp(max=MOST_ROUGH)
    return torch.lerp(base + carried, logs, smoothstep(trust, (0.1, 0.7)))
