"""What is known of faces before a photo is seen."""

from jaxtyping import Float
from torch import Tensor

from facewright.models.face_model import ExpressionPrior

# An expression that real faces never show is still given this much freedom.
LEAST_STD = 0.03


def expression_prior_terms(
    prior: ExpressionPrior, strength: float
) -> tuple[Float[Tensor, " E"], Float[Tensor, " E"]]:
    """Curvature and centre of the expressions' Gaussian prior, before clipping to [0, 1]."""
    return strength / prior.std.clamp_min(LEAST_STD) ** 2, prior.mean
