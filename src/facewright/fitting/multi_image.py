"""Normal equations of several photos of one person: own pose and expression, one shared identity.

The matrix is a block arrow. Each photo's own block is eliminated (Schur complement), the shared blocks of a
person's photos are added up and solved, and the own steps follow by back-substitution. One photo a person
is the same computation.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from facewright.core.log import logger


@dataclass(frozen=True)
class ArrowSystem:
    """Quadratic model ``step^T H step / 2 - descent^T step`` of each photo's energy, own priors included.

    Attributes:
        own: block of the photo's own unknowns.
        cross: own against shared unknowns.
        shared: this photo's part of the block of the shared unknowns.
        own_descent: negative gradient with respect to the own unknowns.
        shared_descent: negative gradient with respect to the shared unknowns.
    """

    own: Float[Tensor, "B O O"]
    cross: Float[Tensor, "B O S"]
    shared: Float[Tensor, "B S S"]
    own_descent: Float[Tensor, "B O"]
    shared_descent: Float[Tensor, "B S"]


def group_sum(values: Tensor, person: Int64[Tensor, " B"], count: int) -> Tensor:
    """Add up the rows (B, ...) of each person's photos to (count, ...)."""
    if count == len(values):  # one photo a person
        return values[person.argsort()]
    return values.new_zeros(count, *values.shape[1:]).index_add(0, person, values)


def person_mean(values: Float[Tensor, "B K"], groups: Int64[Tensor, " B"]) -> Float[Tensor, "B K"]:
    """In place of each row the mean over the rows of its number: what photos of one person share."""
    person = torch.unique(groups.to(values.device), return_inverse=True)[1]
    count = torch.bincount(person).to(values.dtype)[:, None]
    return (group_sum(values, person, len(count)) / count)[person]


def solve_arrow(
    system: ArrowSystem,
    shared_prior: tuple[Float[Tensor, "P S"], Float[Tensor, "P S"]],
    person: Int64[Tensor, " B"],
    damping: Float[Tensor, " P"],
    pinned: tuple[Bool[Tensor, "B O"], Float[Tensor, "B O"]],
) -> tuple[Float[Tensor, "B O"], Float[Tensor, "P S"]]:
    """Damped Newton step of all photos and persons.

    Args:
        system: of each photo.
        shared_prior: diagonal and negative gradient of the shared unknowns' prior, once a person.
        person: which person each photo shows, 0 to P - 1.
        damping: Levenberg-Marquardt factor on the diagonals.
        pinned: own unknowns that are not free, and the step they take.

    Returns:
        Steps of the own unknowns and of the shared ones.
    """
    mask, value = pinned
    prior, prior_descent = shared_prior
    free = (~mask).to(system.own.dtype)
    pinned_step = value * mask
    own_descent = system.own_descent - (system.own @ pinned_step[..., None])[..., 0]
    shared_descent = system.shared_descent - (system.cross.mT @ pinned_step[..., None])[..., 0]
    own_descent = torch.where(mask, value, own_descent)
    own = system.own * free[:, :, None] * free[:, None, :]
    factor = 1 + damping[person]
    diagonal = torch.where(
        mask, torch.ones_like(value), system.own.diagonal(dim1=1, dim2=2) * factor[:, None]
    )
    own.diagonal(dim1=1, dim2=2).copy_(diagonal)
    cross = system.cross * free[..., None]

    # With L L^T = own: Y = L^-1 [cross, descent]; the Schur complement is shared - Y^T Y.
    lower = _cholesky(own)
    half = torch.linalg.solve_triangular(lower, torch.cat([cross, own_descent[..., None]], -1), upper=False)
    half_cross, half_descent = half[..., :-1], half[..., -1:]
    schur = torch.baddbmm(system.shared, half_cross.mT, half_cross, alpha=-1)
    reduced = torch.baddbmm(shared_descent[..., None], half_cross.mT, half_descent, alpha=-1)[..., 0]
    persons = len(damping)
    schur, reduced = group_sum(schur, person, persons), group_sum(reduced, person, persons) + prior_descent
    schur_diagonal = (schur.diagonal(dim1=1, dim2=2) + prior) * (1 + damping[:, None])
    schur.diagonal(dim1=1, dim2=2).copy_(schur_diagonal)
    shared_step = torch.cholesky_solve(reduced[..., None], _cholesky(schur))[..., 0]
    right = half_descent - half_cross @ shared_step[person][..., None]
    own_step = torch.linalg.solve_triangular(lower.mT, right, upper=True)[..., 0]
    return torch.where(mask, value, own_step), shared_step


def solve_own(
    system: ArrowSystem,
    shared_step: Float[Tensor, "B S"],
    damping: Float[Tensor, " B"],
    pinned: tuple[Bool[Tensor, "B O"], Float[Tensor, "B O"]],
) -> Float[Tensor, "B O"]:
    """Step of the own unknowns when the shared ones take a given step; arguments as in ``solve_arrow``."""
    mask, value = pinned
    free = (~mask).to(system.own.dtype)
    right = system.own_descent - (system.cross @ shared_step[..., None])[..., 0]
    right = torch.where(mask, value, right - (system.own @ (value * mask)[..., None])[..., 0])
    own = system.own * free[:, :, None] * free[:, None, :]
    diagonal = system.own.diagonal(dim1=1, dim2=2) * (1 + damping[:, None])
    own.diagonal(dim1=1, dim2=2).copy_(torch.where(mask, torch.ones_like(value), diagonal))
    return torch.cholesky_solve(right[..., None], _cholesky(own))[..., 0]


def _cholesky(matrix: Tensor) -> Tensor:
    """Cholesky factors; a matrix that rounding made indefinite gets the diagonal it needs."""
    factor, failed = torch.linalg.cholesky_ex(matrix)
    lift = 1e-5
    while bool((failed > 0).any()) and lift < 10:
        lifted = matrix + lift * torch.diag_embed(matrix.diagonal(dim1=1, dim2=2).abs())
        again, still = torch.linalg.cholesky_ex(lifted)
        factor = torch.where((failed > 0)[:, None, None], again, factor)
        failed = torch.where(failed > 0, still, failed)
        lift *= 10
    if bool((failed > 0).any()):
        # Its step is as good as none: trials that do not lower the energy are taken back.
        logger("fitting").warning("a system of equations could not be solved: its step is left out.")
        unsolved = torch.eye(matrix.shape[1]).to(factor) * torch.finfo(factor.dtype).max ** 0.25
        factor = torch.where((failed > 0)[:, None, None], unsolved, factor)
    return factor
