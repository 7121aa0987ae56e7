"""Errors that the landmarks of one face have in common, taken out of a landmark fit.

With residuals r, weights W and error modes U the energy is ``min_e |r - U e|_W^2 + |e|^2``: e is solved for
in closed form at every state (Mahalanobis distance under the covariance ``W^-1 + U U^T``), and what it takes
away from the curvature of pose and shape is the Schur complement. The gradient is exact; the curvature uses
one projection for each group of landmarks, as the landmark basis does.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.detection.landmark_errors import LandmarkErrors
from facewright.fitting.multi_image import ArrowSystem
from facewright.fitting.observed import Observed


@dataclass(frozen=True)
class ErrorTables:
    """Error modes and what a step needs of them.

    Attributes:
        mean: detected minus true, of the upright frame's unit; axis by axis.
        modes: likewise.
        outer: ``u u^T`` of each landmark, 0 for those of the contour.
        contour_outer: ``u u^T`` by the contour's xx, xy and yy parts.
        shape: ``sum_{l in g} B_l[k, c] u_l[r, d]``: rows (g, c, d), columns (r, k).
        gram: ``sum_{l in g} u_l[r, c] u_l[s, d]``: rows (g, c, d), columns (r, s).
        members: landmarks of each group, filled up with any to the largest group's number.
        member_modes: their modes: rows l, columns (d, r); 0 where filled up.
        total: ``sum_{l in g} u_l[r, d]``: rows (g, d).
    """

    mean: Float[Tensor, "2 L"]
    modes: Float[Tensor, "R 2 L"]
    outer: Float[Tensor, "L RR"]
    contour_outer: Float[Tensor, "C3 RR"]
    shape: Float[Tensor, "GCD RK"]
    gram: Float[Tensor, "GCC RR"]
    members: Int64[Tensor, "G M"]
    member_modes: Float[Tensor, "G M DR"]
    total: Float[Tensor, "GD R"]

    @property
    def count(self) -> int:
        """Number of modes."""
        return len(self.modes)


def error_tables(
    errors: LandmarkErrors,
    basis: Float[Tensor, "K L 3"],
    group: Float[Tensor, "L G"],
    contour: Tensor,
) -> ErrorTables:
    """Prepare error modes for a landmark basis.

    Args:
        errors: of the landmarker.
        basis: displacement per coefficient.
        group: one-hot.
        contour: indices of the contour landmarks in their order.
    """
    modes = errors.modes.to(basis)  # (R, L, 2)
    products = torch.einsum("rld,sle->lders", modes, modes).flatten(3)
    outer = products[:, 0, 0] + products[:, 1, 1]
    outer = outer.index_fill(0, contour, 0.0)
    ring = products[contour]
    contour_outer = torch.stack([ring[:, 0, 0], ring[:, 0, 1] + ring[:, 1, 0], ring[:, 1, 1]])
    largest = int(group.sum(0).max())
    inside, members = group.mT.topk(largest, dim=1)
    member_modes = (modes[:, members] * inside[..., None]).permute(1, 2, 3, 0).flatten(2)
    return ErrorTables(
        mean=errors.mean.to(basis).T.contiguous(),
        modes=modes.mT.contiguous(),
        outer=outer,
        contour_outer=contour_outer.flatten(0, 1),
        shape=torch.einsum("lg,klc,rld->gcdrk", group, basis, modes).flatten(3).flatten(0, 2),
        gram=torch.einsum("lg,rlc,sld->gcdrs", group, modes, modes).flatten(3).flatten(0, 2),
        members=members,
        member_modes=member_modes.contiguous(),
        total=torch.einsum("lg,rld->gdr", group, modes).flatten(0, 1),
    )


def error_factor(
    tables: ErrorTables,
    observed: Observed,
    weight: Float[Tensor, "B L"],
    normals: Float[Tensor, "B 2 C"],
    ring: Tensor,
) -> Float[Tensor, "B R R"]:
    """Cholesky factor of ``1 + U^T W U``."""
    x, y = (observed.turn.mT @ normals).unbind(1)
    along = weight[:, ring]
    parts = torch.cat([along * x * x, along * x * y, along * y * y], 1)
    matrix = torch.addmm(weight @ tables.outer, parts, tables.contour_outer).unflatten(1, (tables.count, -1))
    matrix = matrix * observed.radius[:, None, None] ** 2
    matrix.diagonal(dim1=1, dim2=2).add_(1)
    return torch.linalg.cholesky(matrix)


def half_errors(
    tables: ErrorTables, observed: Observed, factor: Float[Tensor, "B R R"], pull: Float[Tensor, "B 2 L"]
) -> Float[Tensor, "B R"]:
    """The likeliest errors times the factor's transpose; their squares are what they take off the energy.

    Args:
        tables: of the landmarks.
        observed: what was seen.
        factor: of ``error_factor``.
        pull: weights times residuals (mm), of contour landmarks across the contour.
    """
    upright = (observed.turn.mT @ pull).flatten(1) * observed.radius[:, None]
    right = upright @ tables.modes.flatten(1).T
    return torch.linalg.solve_triangular(factor, right[..., None], upper=False)[..., 0]


def likely_errors(
    tables: ErrorTables, observed: Observed, factor: Float[Tensor, "B R R"], half: Float[Tensor, "B R"]
) -> Float[Tensor, "B 2 L"]:
    """The likeliest common errors, mm at the head, image frame."""
    weights = torch.linalg.solve_triangular(factor.mT, half[..., None], upper=True)[..., 0]
    upright = ((weights * observed.radius[:, None]) @ tables.modes.flatten(1)).unflatten(1, (2, -1))
    return observed.turn @ upright


def without_errors(
    tables: ErrorTables,
    observed: Observed,
    where: tuple[Float[Tensor, "B 3 3"], Float[Tensor, "B 3 L"]],
    system: ArrowSystem,
    weighing: Float[Tensor, "B G 5 2"],
) -> ArrowSystem:
    """The normal equations of pose and shape with the errors eliminated from their curvature.

    All blocks of the curvature take the same mean over a group, so what is left stays positive definite.

    Args:
        tables: of the landmarks.
        observed: what was seen.
        where: camera_from_head, and the landmarks from the head's origin in the camera frame, mm.
        system: with the exact descent of the energy at the likeliest errors.
        weighing: mean over each group of ``J^T W``, J the Jacobian of the projection, and of ``W``; camera
            frame.
    """
    (rotation, arm), count = where, tables.count
    scaled = weighing @ observed.turn[:, None] * observed.radius[:, None, None, None]
    pulled = scaled[:, :, :3]
    own_weight = observed.turn.mT[:, None] @ scaled[:, :, 3:] * observed.radius[:, None, None, None]
    matrix = (own_weight.flatten(1) @ tables.gram).unflatten(1, (count, -1))
    matrix.diagonal(dim1=1, dim2=2).add_(1)
    factor = torch.linalg.cholesky(matrix)
    in_head = rotation[:, None].mT @ pulled
    shape = (in_head.flatten(1) @ tables.shape).unflatten(1, (count, -1))  # (B, R, K)
    force = pulled.transpose(1, 2).flatten(2) @ tables.total  # (B, 3, R)
    inside = arm[..., tables.members].permute(2, 0, 1, 3).flatten(1, 2)  # (G, B 3, M)
    lever = (inside @ tables.member_modes).unflatten(1, (-1, 3)).unflatten(3, (2, count))
    outer = torch.einsum("gbjdr,bgkd->bjkr", lever, pulled)  # sum of arm_l[j] u_l[r, d] times pull[k, d]
    torque = torch.stack([outer[:, j, k] - outer[:, k, j] for j, k in ((1, 2), (2, 0), (0, 1))], 1)
    columns = torch.cat([torque.mT, force.mT, shape[..., system.shared.shape[1] :]], 2)
    columns = torch.cat([columns, shape[..., : system.shared.shape[1]]], 2)
    shared = system.shared.shape[1]
    half = torch.linalg.solve_triangular(factor, columns, upper=False)
    own, common = half[..., :-shared], half[..., -shared:]
    return replace(
        system,
        own=torch.baddbmm(system.own, own.mT, own, alpha=-1),
        cross=torch.baddbmm(system.cross, own.mT, common, alpha=-1),
        shared=torch.baddbmm(system.shared, common.mT, common, alpha=-1),
    )
