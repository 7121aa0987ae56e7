"""Texture maps: chart, photo to map, completion."""

from facewright.uv.bake import bake, fill_gutter
from facewright.uv.belief import BeliefSettings, believed
from facewright.uv.chart import UvChart, mirrored_texels
from facewright.uv.complete import CompletionSettings, complete
from facewright.uv.head_chart import HeadChart
from facewright.uv.head_texture import TextureSettings, head_texture, unwrap_photo
from facewright.uv.unwrap import Illumination, UnwrapSettings, UvSamples, unwrap

__all__ = [
    "BeliefSettings",
    "CompletionSettings",
    "HeadChart",
    "Illumination",
    "TextureSettings",
    "UnwrapSettings",
    "UvChart",
    "UvSamples",
    "bake",
    "believed",
    "complete",
    "fill_gutter",
    "head_texture",
    "mirrored_texels",
    "unwrap",
    "unwrap_photo",
]
