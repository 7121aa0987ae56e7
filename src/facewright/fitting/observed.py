"""The record of what a landmark fit was shown."""

from dataclasses import dataclass

from jaxtyping import Float, Int64
from torch import Tensor

from facewright.fitting.priors import ExpressionBelief


@dataclass(frozen=True)
class Observed:
    """What was seen.

    Attributes:
        rays: detected landmarks as x / z and y / z, axis by axis.
        weights: trust in each.
        person: which person each photo shows.
        distance: mm; turns ray differences into mm at the head.
        turn: image_from_upright, the frame of the landmarks' common errors.
        radius: mm; their unit, times how large they are taken to be.
        expressions: what is expected of each photo's.
    """

    rays: Float[Tensor, "B 2 L"]
    weights: Float[Tensor, "B L"]
    person: Int64[Tensor, " B"]
    distance: Float[Tensor, " B"]
    turn: Float[Tensor, "B 2 2"]
    radius: Float[Tensor, " B"]
    expressions: ExpressionBelief
