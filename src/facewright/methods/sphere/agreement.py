"""The last map of a trained encoder, learned anew so that a person's photos agree.

Codes of photos are a linear map of what the encoder sees. A training by batches leaves one person's codes as
far apart as people are; the map that brings them together is a regression.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.core.errors import InputError
from facewright.methods.sphere.encoder import Decoder, SphereEncoder
from facewright.methods.sphere.likeness_start import LEAST_STD, Examples, regression, take_map


@dataclass(frozen=True)
class AgreementSettings:
    """How a person's photos are made to agree.

    Attributes:
        rounds: from 1; each brings photos nearer to their person, and people nearer to a few directions, in
            which those who are alike are told apart less.
        spread: of people's faces, mm, that a round aims at; of it is lost what photos do not tell, so that it
            is chosen by what comes out (docs/identity.md).
        known: weight of the known faces; photos of people have 1.
        ridge: of the regression, of what is seen in standard deviations.
    """

    rounds: int = 1
    spread: float = 2.0
    known: float = 0.2
    ridge: float = 0.01


def agree(
    encoder: SphereEncoder,
    examples: Examples,
    decoder: Decoder,
    vertices: int,
    settings: AgreementSettings = AgreementSettings(),
) -> None:
    """Learn the encoder's map to codes by regression; it is changed in place.

    Each photo's target is the mean code of its person's other photos, by the map so far; people's targets are
    spread around the mean face by ``settings.spread``. Known faces are their own targets.

    Args:
        encoder: with a map that tells people apart.
        examples: of people, whose photos weigh as their chances, and of known faces; a photo and its mirror
            image are one example.
        decoder: of the encoder.
        vertices: of the face.
        settings: how.

    Raises:
        InputError: fewer than two people have two photos, no face is known, or there is no round.
    """
    if settings.rounds < 1:
        raise InputError(f"expected 1 round at least, got {settings.rounds}.")
    everything = torch.cat([examples.seen, examples.known])
    spread = everything.std(0) + LEAST_STD
    several = torch.bincount(examples.people)[examples.people] > 1
    if len(torch.unique(examples.people[several])) < 2 or len(examples.known) == 0:
        raise InputError("expected two people with two photos each at least, and known faces beside them.")
    people = torch.unique(examples.people[several], return_inverse=True)[1]
    weight = examples.chances[several].double()
    share = settings.known / len(examples.known)
    weight = torch.cat([weight / weight.sum(), torch.full((len(examples.known),), share).to(weight)])
    values = torch.cat([examples.seen[several], examples.known]) / spread
    features = encoder.settings.features
    with torch.no_grad():
        codes = encoder.identity(examples.seen[:, :features], examples.seen[:, features:])
        codes = (codes * decoder.deviations)[several]
    slope, shift = torch.zeros(0), torch.zeros(0)
    for _ in range(settings.rounds):
        targets = _of_others(codes, people, settings.spread * vertices**0.5)
        slope, shift = regression(values, torch.cat([targets, examples.codes]), weight, settings.ridge)
        codes = values[: len(people)] @ slope + shift
    take_map(encoder, slope / spread[:, None], shift, decoder, everything)


def _of_others(
    codes: Float[Tensor, "N D"], people: Int64[Tensor, " N"], length: float
) -> Float[Tensor, "N D"]:
    """Of each photo the mean code of the others of its person; people are as far around 0 as ``length``."""
    sizes = torch.bincount(people)[:, None].to(codes)
    sums = codes.new_zeros(len(sizes), codes.shape[1]).index_add_(0, people, codes)
    means = sums / sizes
    apart = means - means.mean(0)
    gain = length / apart.square().sum(1).mean().sqrt()
    return gain * ((sums[people] - codes) / (sizes[people] - 1) - means.mean(0))
