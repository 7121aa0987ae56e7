"""What is known of faces before a photo is seen."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.models.face_model import ExpressionPrior

# An expression that real faces never show is still given this much freedom.
LEAST_STD = 0.03
# Degrees of freedom of the expressions' Student prior: most photos show little, a shout shows much.
FREEDOM = 3.0
# Of the spread of one expression: what two that always go together may still differ by.
LEAST_SHARE = 0.1
# Expressions that undo one another: of each pair a face shows one.
OPPOSED = (
    *(("eyeLookUp" + side, "eyeLookDown" + side) for side in ("Left", "Right")),
    *(("eyeLookIn" + side, "eyeLookOut" + side) for side in ("Left", "Right")),
    *(("eyeBlink" + side, "eyeWide" + side) for side in ("Left", "Right")),
    *(("mouthSmile" + side, "mouthFrown" + side) for side in ("Left", "Right")),
    ("jawLeft", "jawRight"),
    ("mouthLeft", "mouthRight"),
)


@dataclass(frozen=True)
class ExpressionBelief:
    """What is expected of the expressions of some photos, or of any photo (then B = 1).

    Attributes:
        root: ``(activations - centre) / std @ root`` has unit covariance and stays near each expression.
        centre: likeliest activations.
        std: how far off they may be.
    """

    root: Float[Tensor, "E E"]
    centre: Float[Tensor, "B E"]
    std: Float[Tensor, "B E"]

    def rows(self, rows: Int64[Tensor, " N"]) -> "ExpressionBelief":
        """What is expected of some of the photos."""
        return replace(self, centre=self.centre[rows], std=self.std[rows])


def expression_belief(prior: ExpressionPrior) -> ExpressionBelief:
    """Prepare a prior for fitting; expressions that go together are pulled towards doing so."""
    values, vectors = torch.linalg.eigh(prior.correlation.double())
    root = (vectors * values.clamp_min(LEAST_SHARE).rsqrt()) @ vectors.mT
    std = prior.std.clamp_min(LEAST_STD)
    return ExpressionBelief(root.to(std), prior.mean[None], std[None])


def expression_prior_terms(
    belief: ExpressionBelief, strength: float, expression: Float[Tensor, "B E"]
) -> tuple[Float[Tensor, "B E E"], Float[Tensor, "B E"]]:
    """Curvature (of the Gaussian that lies on the Student prior at given activations) and descent."""
    weight, pull = _whitened(belief, strength, expression)
    whitening = belief.root / belief.std[:, :, None]
    return (whitening * weight[:, None]) @ whitening.mT, (pull @ belief.root.mT) / belief.std


def expression_prior_along(
    belief: ExpressionBelief,
    strength: float,
    expression: Float[Tensor, "B E"],
    directions: Float[Tensor, "B D E"],
) -> tuple[Float[Tensor, "B D D"], Float[Tensor, "B D"]]:
    """``expression_prior_terms`` along a few directions, without the whole curvature."""
    weight, pull = _whitened(belief, strength, expression)
    along = (directions / belief.std[:, None]) @ belief.root
    return (along * weight[:, None]) @ along.mT, (along @ pull[..., None])[..., 0]


def _whitened(
    belief: ExpressionBelief, strength: float, expression: Float[Tensor, "B E"]
) -> tuple[Float[Tensor, "B E"], Float[Tensor, "B E"]]:
    """Weight and descent in the independent directions."""
    deviation = _deviation(belief, expression)
    weight = strength / (1 + deviation**2 / FREEDOM)
    return weight, -weight * deviation


def _deviation(belief: ExpressionBelief, expression: Float[Tensor, "B E"]) -> Float[Tensor, "B E"]:
    return ((expression - belief.centre) / belief.std) @ belief.root


def expression_energy(
    belief: ExpressionBelief, strength: float, expression: Float[Tensor, "B E"]
) -> Float[Tensor, " B"]:
    """Energy of the Student prior; near its centre that of a Gaussian with the prior's covariance."""
    deviation = _deviation(belief, expression)
    return strength * FREEDOM * torch.log1p(deviation**2 / FREEDOM).sum(1)


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
