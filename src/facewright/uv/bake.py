"""Attributes of a mesh as texture maps."""

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.image.pyramid import push_pull
from facewright.uv.chart import UvChart


def bake(chart: UvChart, attribute: Float[Tensor, "V C"], *, gutter: bool = True) -> Float[Tensor, "S S C"]:
    """Spread a vertex attribute over a map.

    Args:
        chart: where each texel lies on the mesh.
        attribute: one row a vertex.
        gutter: continue the values over the texels that no triangle covers, so that filtering near chart
            borders mixes in nothing foreign; 0 there otherwise.
    """
    baked = chart.scatter(chart.gather(attribute))
    return fill_gutter(chart, baked) if gutter else baked


def fill_gutter(chart: UvChart, values: Float[Tensor, "S S C"]) -> Float[Tensor, "S S C"]:
    """Continue a map smoothly over the texels that no triangle covers; the others stay as they are."""
    weight = chart.scatter(values.new_ones(len(chart.texel), 1))
    planes = values.permute(2, 0, 1)[None]
    filled = push_pull(planes, weight.permute(2, 0, 1)[None])
    return torch.where(weight > 0, values, filled[0].permute(1, 2, 0))
