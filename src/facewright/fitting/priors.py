"""What is known of faces before a photo is seen."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.models.face_model import ExpressionPrior

# An expression that real faces never show is still given this much freedom.
LEAST_STD = 0.03
# Degrees of freedom of the expressions' Student prior: most photos show little, a shout shows much.
FREEDOM = 3.0
# Expressions that undo one another: of each pair a face shows one.
OPPOSED = (
    *(("eyeLookUp" + side, "eyeLookDown" + side) for side in ("Left", "Right")),
    *(("eyeLookIn" + side, "eyeLookOut" + side) for side in ("Left", "Right")),
    *(("eyeBlink" + side, "eyeWide" + side) for side in ("Left", "Right")),
    *(("mouthSmile" + side, "mouthFrown" + side) for side in ("Left", "Right")),
    ("jawLeft", "jawRight"),
    ("mouthLeft", "mouthRight"),
)


def expression_prior_terms(
    prior: ExpressionPrior, strength: float, expression: Float[Tensor, "B E"]
) -> tuple[Float[Tensor, "B E"], Float[Tensor, " E"]]:
    """Curvature (of the Gaussian that lies on the Student prior at given activations) and centre."""
    std = prior.std.clamp_min(LEAST_STD)
    deviation = ((expression - prior.mean) / std) ** 2
    return strength / std**2 / (1 + deviation / FREEDOM), prior.mean


def expression_energy(
    prior: ExpressionPrior, strength: float, expression: Float[Tensor, "B E"]
) -> Float[Tensor, " B"]:
    """Energy of the Student prior; near its centre that of a Gaussian with the prior's deviation."""
    deviation = ((expression - prior.mean) / prior.std.clamp_min(LEAST_STD)) ** 2
    return strength * FREEDOM * torch.log1p(deviation / FREEDOM).sum(1)


def opposed_pairs(names: tuple[str, ...]) -> Int64[Tensor, "Q 2"]:
    """Numbers of the expressions of each opposed pair that the model has."""
    number = {name: index for index, name in enumerate(names)}
    pairs = [(number[a], number[b]) for a, b in OPPOSED if a in number and b in number]
    return torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)


def weaker_of_pairs(
    pairs: Int64[Tensor, "Q 2"], expression: Float[Tensor, "B E"], descent: Float[Tensor, "B E"]
) -> Tensor:
    """Mask (B, E) of the weaker expression of each pair; between two at rest, of the less wanted one."""
    first, second = expression[:, pairs[:, 0]], expression[:, pairs[:, 1]]
    wanted = descent[:, pairs[:, 0]] < descent[:, pairs[:, 1]]
    first_weaker = torch.where(first == second, wanted, first < second)
    weaker = torch.where(first_weaker, pairs[:, 0], pairs[:, 1])
    return torch.zeros_like(expression, dtype=torch.bool).scatter(1, weaker, True)
