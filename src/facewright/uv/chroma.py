"""Colour that a photo hardly tells: grey photos, and frames whose colour is blocky or noisy."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.image.color import lacks_color, luminance
from facewright.image.pyramid import blur, enlarge, shrink
from facewright.uv.complete import OFFSET
from facewright.uv.head_chart import HeadChart
from facewright.uv.unwrap import UvSamples

SURE = 0.5  # confidence of the texels that are asked


def is_grey(samples: UvSamples) -> bool:
    """Whether what a photo shows has no colour; a photo that shows nothing is not grey."""
    return lacks_color(samples.color[samples.confidence[..., 0] > SURE])


def calm_chroma(
    samples: UvSamples, model_map: Float[Tensor, "S S 3"], chart: HeadChart, pixels: float
) -> UvSamples:
    """Average the hue relative to the model's over a few pixels of the photo; brightness keeps its detail.

    Compression and sensors lose colour first: in small faces it comes in blotches. What differs in hue inside
    a face (lips, brows) the model's own map has, so that averaging the ratio to it does not wash it out. The
    eyes are left alone: they are a few pixels themselves.

    Args:
        samples: of one photo; where it does not know its own resolution it is returned as it is.
        model_map: the model's albedo, linear RGB.
        chart: of the head.
        pixels: of the photo, to each side.
    """
    radius = min(round(pixels * samples.texels_a_pixel), chart.chart.size // 16)
    if radius < 1:
        return samples
    skin = ((samples.confidence > 0) & (chart.eyes < SURE)).to(samples.color.dtype)
    ratio = ((samples.color + OFFSET) / (model_map + OFFSET)).log()
    bright = ((luminance(samples.color) + OFFSET) / (luminance(model_map) + OFFSET)).log()[..., None]
    hue = (ratio - bright).permute(2, 0, 1)[None]
    weight = (samples.confidence * skin).permute(2, 0, 1)[None]
    factor = max(1, radius // 3)  # a wide mean needs no fine map
    coarse, known = shrink(hue, weight, factor)
    calm = enlarge(blur(coarse, round(radius / factor), known), factor, hue.shape[-2:])
    calm = calm[0].permute(1, 2, 0)
    color = ((model_map + OFFSET) * (bright + calm).exp() - OFFSET).clamp_min(0)
    return replace(samples, color=torch.where(skin > 0, color, samples.color))


def without_color(samples: UvSamples) -> UvSamples:
    """The samples' luminance."""
    return replace(samples, color=luminance(samples.color)[..., None].expand(-1, -1, 3).contiguous())
