"""Losses on codes (scale times direction) and how codes are fitted to scans."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from facewright.core.errors import InputError
from facewright.models.sphere_model import unit

EPSILON = 1e-8


def softmax_loss(
    directions: Float[Tensor, "B D"],
    weights: Float[Tensor, "P D"],
    people: Int64[Tensor, " B"],
    scale: float,
) -> Float[Tensor, ""]:
    """Normalised softmax: how badly a direction tells whose it is.

    Args:
        directions: unit vectors.
        weights: a vector for each person, of any length.
        people: number of each direction's person.
        scale: factor on the cosines.

    **Source:** eq. 6 (NormFace).
    **Differs:** logits are indexed by person and weights are parameters of their own (the equation indexes
    both by the same letter and calls a weight a row of A); it prints no scale, which is a scale of 1: with
    466 people the loss then cannot fall below 5.15 (chance 6.14).
    """
    cosines = directions @ functional.normalize(weights, dim=1).T
    return functional.cross_entropy(scale * cosines, people)


def centre_loss(
    codes: Float[Tensor, "B D"],
    centres: Float[Tensor, "P D"],
    people: Int64[Tensor, " B"],
    weight: Float[Tensor, " B"] | None = None,
) -> Float[Tensor, ""]:
    """Mean squared distance to the own centre, over that between two centres.

    Args:
        codes: scale times direction.
        centres: of the people; learnt.
        people: number of each code's person.
        weight: of each code's pull on its centre, 0 to 1; the centre's pull on the code is always whole.

    Raises:
        InputError: there is one centre only.

    **Source:** eq. 7, the sum over all pairs without a loop: ``2 n sum |c|^2 - 2 |sum c|^2``; the weighted
    version is named in Table 4 and has its form from the authors' earlier code (SIR).
    **Differs:** the mean over pairs of different people; the equation divides by n.
    """
    count = len(centres)
    if count < 2:
        raise InputError("the centre loss needs at least 2 people.")
    # Of centred centres, the same sum without two large numbers that cancel.
    around = centres - centres.mean(0)
    between = 2 * around.square().sum() / (count - 1)
    own = centres[people]
    if weight is not None:
        own = own.detach() + weight[:, None] * (own - own.detach())
    within = (codes - own).square().sum(1).mean()
    return within / (between + EPSILON)


def orthonormality_loss(basis: Float[Tensor, "R D"]) -> Float[Tensor, ""]:
    """Squared Frobenius norm of ``A^T A - I``.

    **Source:** eq. 8.
    """
    identity = torch.eye(basis.shape[1], dtype=basis.dtype, device=basis.device)
    return (basis.T @ basis - identity).square().sum()


def closed_codes(basis: Float[Tensor, "R D"], scans: Float[Tensor, "N R"]) -> Float[Tensor, "N D"]:
    """Codes of the nearest meshes (least squares)."""
    wide = basis.double()
    return torch.linalg.solve(wide.T @ wide, wide.T @ scans.double().T).T.float()


@dataclass(frozen=True)
class CodeFit:
    """The paper's optimiser of codes.

    **Source:** section 5.1: Adam, 0.02, halved every 128 of 1,000 iterations.

    Attributes:
        rate: of Adam, in units of a code of typical length; the paper names no unit.
        halved: iterations after which the rate is halved.
        iterations: of all.
        sphere: fit a scale and a direction; False: the code itself.
    """

    rate: float = 0.02
    halved: int = 128
    iterations: int = 1000
    sphere: bool = True

    def __call__(
        self, basis: Float[Tensor, "R D"], scans: Float[Tensor, "N R"], generator: torch.Generator
    ) -> Float[Tensor, "N D"]:
        """Codes by descent from a random start, all scans together.

        Args:
            basis: A.
            scans: in the space of the basis.
            generator: of the start.

        Raises:
            InputError: all scans are the mean scan.
        """
        typical = float(scans.square().sum(1).mean().sqrt())
        if not typical > 0:
            raise InputError("expected scans that differ from the mean scan.")
        # The error is quadratic in a code: two small arrays tell all of it.
        quadratic, linear = basis.T @ basis, scans @ basis / typical
        dimensions = basis.shape[1]
        x = torch.randn(len(scans), dimensions, generator=generator) / math.sqrt(dimensions)
        scale = torch.ones(len(scans), 1)
        free = [x.requires_grad_(), scale.requires_grad_()] if self.sphere else [x.requires_grad_()]
        optimizer = torch.optim.Adam(free, lr=self.rate, fused=True)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, self.halved, 0.5)
        for _ in range(self.iterations):
            codes = scale * functional.normalize(x, dim=1) if self.sphere else x
            error = (codes @ quadratic * codes - 2 * codes * linear).sum()
            optimizer.zero_grad()
            error.backward()
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            return typical * (scale.abs() * unit(x) if self.sphere else x)
