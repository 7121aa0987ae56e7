"""Where stage 2 starts if some shapes are known: codes that tell people apart and are like their faces.

A linear map of what the encoder sees is learned on that alone, which takes a minute where the same steps
through the network would take an hour.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import dropout, normalize

from facewright.methods.sphere.codes import centre_loss
from facewright.methods.sphere.encoder import START, Decoder, SphereEncoder
from facewright.methods.sphere.known import face_errors
from facewright.methods.sphere.losses import SphereWeights
from facewright.methods.sphere.start import NORM
from facewright.networks.recognition import MarginSoftmax

STEPS, BATCH = 1200, 384
RAMP = 50  # steps over which rates are raised
DROPPED = 0.1  # share of the features
RATE, SHIFT_RATE, CLASS_RATE = 0.05, 0.3, 0.004  # of Adam: the map, its shift, the people's directions
RIDGE = 0.1  # of regressions
LEAST_STD = 0.05  # of a feature, added


@dataclass(frozen=True)
class Examples:
    """What the encoder sees in photos (features and hidden units), and what they are examples of.

    Attributes:
        seen: in photos of people.
        people: number of each one's person.
        chances: of each to be drawn.
        known: in synthetic photos.
        codes: of the faces in them.
    """

    seen: Float[Tensor, "N S"]
    people: Int64[Tensor, " N"]
    chances: Float[Tensor, " N"]
    known: Float[Tensor, "M S"]
    codes: Float[Tensor, "M D"]


def start_from_shapes(
    encoder: SphereEncoder,
    classes: MarginSoftmax,
    examples: Examples,
    decoder: Decoder,
    vertices: int,
    weights: SphereWeights,
) -> Float[Tensor, "P D"]:
    """Learn the encoder's map to codes and the people's directions; both are changed in place.

    Args:
        encoder: its bottleneck is what it lets through of the features' map: the greatest singular values.
        classes: people's directions.
        examples: to learn from.
        decoder: of the encoder.
        vertices: of the face.
        weights: of the losses.

    Returns:
        The mean code of each person.
    """
    everything = torch.cat([examples.seen, examples.known])
    middle, spread = examples.seen.mean(0), everything.std(0) + LEAST_STD
    slope, shift = _learnt(examples, middle, spread, classes, decoder.deviations, vertices, weights)
    slope = slope / spread[:, None]
    codes = take_map(encoder, slope, shift - middle @ slope, decoder, everything)
    return _means(codes[: len(examples.seen)], examples.people, classes)


def take_map(
    encoder: SphereEncoder,
    slope: Float[Tensor, "S D"],
    shift: Float[Tensor, " D"],
    decoder: Decoder,
    seen: Float[Tensor, "N S"],
) -> Float[Tensor, "N D"]:
    """Let an encoder tell ``seen @ slope + shift``, and as its scale what hidden units say of the length.

    Args:
        encoder: changed in place.
        slope: from features and hidden units to codes.
        shift: of the codes.
        decoder: of the encoder.
        seen: in photos, by which the scale is fitted.

    Returns:
        The codes of these photos.
    """
    with torch.no_grad():
        features, count = encoder.settings.features, encoder.settings.bottleneck
        left, sizes, right = torch.linalg.svd(slope[:features].T, full_matrices=False)
        per_deviation = 1 / decoder.deviations[:, None]
        encoder.code.weight.copy_(right[:count])
        encoder.spread.weight.copy_(left[:, :count] * sizes[:count] * per_deviation)
        encoder.spread.bias.copy_(shift * per_deviation[:, 0])
        encoder.likeness.copy_(slope[features:].T * per_deviation)
        codes = seen @ slope + shift
        scale = torch.log(torch.expm1((codes.norm(dim=1) / decoder.scale).clamp_min(0.1))) - START
        weight, bias = regression(seen[:, features:], scale[:, None])
        encoder.heads.weight[0] = weight[:, 0]
        encoder.heads.bias[0] = bias[0]
        return codes


def _learnt(
    examples: Examples,
    middle: Tensor,
    spread: Tensor,
    classes: MarginSoftmax,
    deviations: Float[Tensor, " D"],
    vertices: int,
    weights: SphereWeights,
) -> tuple[Float[Tensor, "S D"], Float[Tensor, " D"]]:
    """The map of what is seen, less its middle and over its spread, to codes, and the codes' shift.

    The losses are those of the training, each with its weight: margin softmax, centre loss (of the middles of
    the batch), the distance to known faces and the size of coefficients. It starts from the regression of
    known codes.
    """
    people, known = ((part - middle) / spread for part in (examples.seen, examples.known))
    slope, shift = (nn.Parameter(part) for part in regression(known, examples.codes))
    with torch.no_grad():
        directions = normalize(people @ slope + shift, dim=1)
        classes.directions.copy_(NORM * normalize(_means(directions, examples.people, classes), dim=1))
    rates = {slope: RATE, shift: SHIFT_RATE, classes.directions: CLASS_RATE}
    optimizer = torch.optim.Adam([{"params": [part], "lr": rate} for part, rate in rates.items()])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _share)
    for _ in range(STEPS):
        drawn = torch.multinomial(examples.chances, BATCH, replacement=True)
        codes = dropout(people[drawn], DROPPED) @ slope + shift
        own = torch.unique(examples.people[drawn], return_inverse=True)[1]
        middles = codes.new_zeros(int(own.max()) + 1, codes.shape[1]).index_add(0, own, codes)
        middles = middles / torch.bincount(own)[:, None]
        free = BATCH / max(1, BATCH - len(middles))  # most are the only photo of their person in the batch
        chosen = torch.randint(len(known), (BATCH,))
        off = face_errors(known[chosen] @ slope + shift, examples.codes[chosen], vertices)
        loss = (
            weights.identity * classes(normalize(codes, dim=1), examples.people[drawn])[0]
            + weights.centre * free * centre_loss(codes, middles, own)
            + weights.truth * off.mean()
            + weights.shape * (codes / deviations).square().mean()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        classes.directions.copy_(NORM * normalize(classes.directions, dim=1))
    return slope.detach(), shift.detach()


def _share(step: int) -> float:
    """Of the rates: raised over the first steps, and lowered to nothing over the second half."""
    return min(1.0, step / RAMP) * 0.5 * (1 + math.cos(math.pi * max(0.0, 2 * step / STEPS - 1)))


def regression(
    values: Float[Tensor, "M S"],
    codes: Float[Tensor, "M D"],
    weight: Float[Tensor, " M"] | None = None,
    ridge: float = RIDGE,
) -> tuple[Float[Tensor, "S D"], Float[Tensor, " D"]]:
    """Ridge regression and its shift; every example weighs the same where no weight is given."""
    values, codes = values.double(), codes.double()
    share = torch.ones(len(values), 1).to(values) if weight is None else weight.double()[:, None]
    share = share / share.sum()
    middles = (share * values).sum(0), (share * codes).sum(0)
    apart = values - middles[0]
    ball = ridge * torch.eye(values.shape[1], dtype=values.dtype)
    pulled = (share * apart).T
    slope = torch.linalg.solve(pulled @ apart + ball, pulled @ (codes - middles[1]))
    return slope.float(), (middles[1] - middles[0] @ slope).float()


def _means(values: Tensor, people: Tensor, classes: MarginSoftmax) -> Tensor:
    count = len(classes.directions)
    sums = values.new_zeros(count, values.shape[1]).index_add_(0, people, values)
    return sums / torch.bincount(people, minlength=count)[:, None]
