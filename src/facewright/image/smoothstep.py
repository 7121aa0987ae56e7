"""Soft thresholds."""

from jaxtyping import Float
from torch import Tensor


def smoothstep(values: Float[Tensor, "*N"], edges: tuple[float, float]) -> Float[Tensor, "*N"]:
    """0 below the first edge, 1 above the second, smooth between."""
    t = ((values - edges[0]) / (edges[1] - edges[0])).clamp(0, 1)
    return t * t * (3 - 2 * t)
