"""Weights, residuals and normal equations of a landmark fit around a state."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.detection.landmark_errors import upright_frames
from facewright.fitting.common_errors import (
    error_factor,
    half_errors,
    likely_errors,
    without_errors,
)
from facewright.fitting.landmark_basis import AXIS_PAIRS, LandmarkBasis
from facewright.fitting.multi_image import ArrowSystem
from facewright.fitting.observed import Observed
from facewright.fitting.priors import expression_prior_terms
from facewright.fitting.settings import LandmarkFitSettings
from facewright.fitting.start import State
from facewright.models.contour import outward_normals, seen_candidates

LEAST_DEPTH = 50.0  # mm; nothing closer to the camera than this is linearised


@dataclass(frozen=True)
class Linearized:
    """The energy around a state.

    Attributes:
        system: its quadratic model.
        cost: data energy of each photo.
        weight: of each residual.
        normals: directions across the contour, of the contour landmarks.
        rows: which of the basis' points stands for each landmark.
        errors: factor of the common errors' curvature, None without such.
        pull: weights times residuals, freed of the likeliest common errors.
        image: rays of the projected landmarks.
        chosen: the landmarks, mm, camera frame.
        scale: how many mm at the head one mm at each landmark counts.
    """

    system: ArrowSystem
    cost: Float[Tensor, " B"]
    weight: Float[Tensor, "B L"]
    normals: Float[Tensor, "B 2 C"]
    rows: Int64[Tensor, "B L"]
    errors: Float[Tensor, "B R R"] | None
    pull: Float[Tensor, "B 2 L"]
    image: Float[Tensor, "B 2 L"]
    chosen: Float[Tensor, "B 3 L"]
    scale: Float[Tensor, "B L"]


def observe(
    basis: LandmarkBasis,
    rays: Float[Tensor, "B L 2"],
    weights: Float[Tensor, "B L"],
    person: Int64[Tensor, " B"],
    distance: Float[Tensor, " B"],
    common_errors: float,
) -> Observed:
    """What was seen, freed of the landmarker's mean error.

    Args:
        basis: of the model, with the landmarker's errors or without.
        rays: detected landmarks as x / z and y / z.
        weights: trust in each.
        person: which person each photo shows.
        distance: first estimate, mm.
        common_errors: how large they are taken to be, 1 as measured.
    """
    expected = basis.expected(rays, weights)
    if basis.errors is None:
        turn, radius = torch.eye(2).to(rays).expand(len(rays), 2, 2), torch.zeros_like(distance)
        return Observed(rays.mT.contiguous(), weights, person, distance, turn, radius, expected)
    turn, radius = upright_frames(rays)
    seen = rays.mT - turn @ basis.errors.mean * radius[:, None, None]
    return Observed(seen, weights, person, distance, turn, common_errors * radius * distance, expected)


def linearize(
    basis: LandmarkBasis,
    observed: Observed,
    state: State,
    weighing: LandmarkFitSettings,
    *,
    own_only: bool = False,
) -> Linearized:
    """Weights, contour candidates, residuals and normal equations at a state.

    Args:
        basis: of the model.
        observed: what was seen.
        state: to linearise around.
        weighing: of the evidence.
        own_only: the identity stays: its blocks are left empty.
    """
    camera = _camera_points(basis, observed, state)
    rows, normals = _contour_rows(basis, observed, camera)
    chosen = _take(camera, rows)
    image, scale = _project(observed, chosen)
    residual = _residuals(basis, observed, image, normals)
    weight = _weights(basis, observed, state, residual, normals, weighing)
    pull = weight[:, None] * residual
    cost, factor = (residual * pull).sum((1, 2)), None
    if basis.errors is not None:
        factor = error_factor(basis.errors, observed, weight, normals, basis.contour_index)
        half = half_errors(basis.errors, observed, factor, pull)
        errors = _across(basis, likely_errors(basis.errors, observed, factor, half), normals)
        cost, pull = cost - (half**2).sum(1), pull - weight[:, None] * errors
    # The projection's transposed Jacobian: what an image residual does to a point of the camera frame.
    force = torch.cat([pull, -(image * pull).sum(1, keepdim=True)], 1) * scale[:, None]
    own_place = camera[..., : basis.count]
    metric = _group_metric(basis, observed, own_place, weight, normals)
    system = _normal_equations(basis, state, (camera, chosen, rows), metric, force, own_only=own_only)
    if basis.errors is not None:
        grouped = _group_weighing(basis, observed, own_place, weight, normals)
        arm = own_place - state.translation[..., None]
        system = without_errors(basis.errors, observed, (state.rotation, arm), system, grouped)
    system = _with_expression_prior(observed, state, system, weighing)
    return Linearized(system, cost, weight, normals, rows, factor, pull, image, chosen, scale)


def moved_residual(
    basis: LandmarkBasis, state: State, linear: Linearized, step: tuple[Tensor, Tensor]
) -> Float[Tensor, "B 2 L"]:
    """How a step (own, identity; one row a photo) moves the landmarks' images, mm at the head."""
    own, identity = step
    moved = (torch.cat([identity, own[:, 6:]], 1) @ basis.basis).unflatten(-1, (3, -1))
    moved = state.rotation @ _take(moved, linear.rows)
    arm = linear.chosen - state.translation[..., None]
    turn = torch.linalg.cross(own[:, :3, None].expand_as(arm), arm, dim=1)
    velocity = moved + turn + own[:, 3:6, None]
    image = linear.scale[:, None] * (velocity[:, :2] - linear.image * velocity[:, 2:])
    return _across(basis, image, linear.normals)


def quadratic_form(
    basis: LandmarkBasis, observed: Observed, linear: Linearized, motions: list[Tensor]
) -> Float[Tensor, "B D D"]:
    """Exact curvature of the data energy between motions of the landmarks' images."""
    stacked = torch.stack(motions, 1).flatten(2)
    weight = linear.weight.repeat(1, 2)[:, None]
    matrix = (stacked * weight) @ stacked.mT
    if basis.errors is None or linear.errors is None:
        return matrix
    pulls = [linear.weight[:, None] * motion for motion in motions]
    half = torch.stack([half_errors(basis.errors, observed, linear.errors, pull) for pull in pulls], 1)
    return matrix - half @ half.mT


def trial_cost(
    basis: LandmarkBasis, observed: Observed, state: State, linear: Linearized
) -> Float[Tensor, " B"]:
    """Data energy of another state under the same weights and contour candidates."""
    camera = _take(_camera_points(basis, observed, state), linear.rows)
    image, _ = _project(observed, camera)
    residual = _residuals(basis, observed, image, linear.normals)
    pull = linear.weight[:, None] * residual
    cost = (residual * pull).sum((1, 2))
    if basis.errors is not None and linear.errors is not None:
        cost = cost - (half_errors(basis.errors, observed, linear.errors, pull) ** 2).sum(1)
    behind = (camera[:, 2] < LEAST_DEPTH).any(1)
    return torch.where(behind, torch.full_like(cost, torch.inf), cost)


def _camera_points(basis: LandmarkBasis, observed: Observed, state: State) -> Float[Tensor, "B 3 N"]:
    points = basis.points(state.coefficients(observed.person))
    return torch.baddbmm(state.translation[..., None], state.rotation, points)


def _take(points: Tensor, rows: Tensor) -> Tensor:
    return torch.gather(points, 2, rows[:, None].expand(-1, 3, -1))


def _contour_rows(basis: LandmarkBasis, observed: Observed, camera: Tensor) -> tuple[Tensor, Tensor]:
    """Point that stands for each landmark, and the contour's normals in the image."""
    rows = torch.arange(basis.count, device=camera.device).repeat(len(camera), 1)
    normals = outward_normals(observed.rays[..., basis.contour_index].mT).mT
    candidates = camera[..., basis.count :]
    image = candidates[:, :2] / candidates[:, 2:].clamp_min(LEAST_DEPTH)
    image = image * observed.distance[:, None, None]
    rows[:, basis.contour_index] = basis.count + seen_candidates(image.mT, normals.mT)
    return rows, normals


def _project(observed: Observed, points: Tensor) -> tuple[Tensor, Tensor]:
    """Rays of camera-frame points, and how many mm at the head one mm at each point counts."""
    depth = points[:, 2].clamp_min(LEAST_DEPTH)
    return points[:, :2] / depth[:, None], observed.distance[:, None] / depth


def _residuals(basis: LandmarkBasis, observed: Observed, image: Tensor, normals: Tensor) -> Tensor:
    """Detected minus projected, mm at the head; of contour landmarks only the part across the contour."""
    return _across(basis, observed.distance[:, None, None] * (observed.rays - image), normals)


def _across(basis: LandmarkBasis, residual: Tensor, normals: Tensor) -> Tensor:
    across = (residual[..., basis.contour_index] * normals).sum(1, keepdim=True) * normals
    return residual.index_copy(2, basis.contour_index, across)


def _weights(
    basis: LandmarkBasis,
    observed: Observed,
    state: State,
    residual: Tensor,
    normals: Tensor,
    weighing: LandmarkFitSettings,
) -> Float[Tensor, "B L"]:
    """Trust times visibility times Student weight, over the landmarks' variance."""
    facing = -(state.rotation[:, 2] @ basis.normals.T)  # towards a camera far away
    visible = ((facing + 0.1) / 0.4).clamp(0, 1)
    visible = weighing.hidden_weight + (1 - weighing.hidden_weight) * visible
    visible = torch.where(basis.contour, torch.full_like(visible, weighing.contour_weight), visible)
    trust = observed.weights * visible / weighing.landmark_std**2
    if basis.errors is not None:  # an outlier is what the common errors do not explain either
        factor = error_factor(basis.errors, observed, trust, normals, basis.contour_index)
        half = half_errors(basis.errors, observed, factor, trust[:, None] * residual)
        errors = likely_errors(basis.errors, observed, factor, half)
        residual = residual - _across(basis, errors, normals)
    squared = (residual**2).sum(1)
    typical = torch.where(
        (observed.weights > 0) & ~basis.contour, squared, torch.full_like(squared, torch.nan)
    )
    scale = typical.nanmedian(dim=1, keepdim=True).values.clamp_min(weighing.robust_scale**2)
    robust = (weighing.robust_freedom + 2) / (weighing.robust_freedom + squared / scale)
    return trust * robust.clamp(max=1.0)


def _group_metric(
    basis: LandmarkBasis, observed: Observed, points: Tensor, weight: Tensor, normals: Tensor
) -> Float[Tensor, "B G 3 3"]:
    """Mean over each group of ``J^T W J``, J the Jacobian of the projection; camera frame."""
    image, scale = _project(observed, points)
    strength = weight * scale**2
    x, y = image.unbind(1)
    zero = torch.zeros_like(x)
    entries = [strength, strength, strength * (x * x + y * y), zero, -strength * x, -strength * y]
    ring = basis.contour_index
    row = torch.cat([normals, -(normals * image[..., ring]).sum(1, keepdim=True)], 1)
    products = torch.stack([row[:, a] * row[:, b] for a, b in AXIS_PAIRS], 1) * strength[:, None, ring]
    mean = torch.stack(entries, 1).index_copy(2, ring, products) @ (basis.group / basis.group.sum(0))
    xx, yy, zz, xy, xz, yz = mean.unbind(1)
    return torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], -1).unflatten(-1, (3, 3))


def _group_weighing(
    basis: LandmarkBasis, observed: Observed, points: Tensor, weight: Tensor, normals: Tensor
) -> Float[Tensor, "B G 5 2"]:
    """Mean over each group of ``J^T W``, J the Jacobian of the projection, and of ``W``; camera frame."""
    image, scale = _project(observed, points)
    strength, ring = weight * scale, basis.contour_index
    x, y = image.unbind(1)
    zero = torch.zeros_like(x)
    entries = [strength, zero, zero, strength, -strength * x, -strength * y, weight, zero, zero, weight]
    row = torch.cat([normals, -(normals * image[..., ring]).sum(1, keepdim=True)], 1) * scale[:, None, ring]
    row = torch.cat([row, normals], 1)
    products = (row[:, :, None] * normals[:, None]).flatten(1, 2) * weight[:, None, ring]
    mean = torch.stack(entries, 1).index_copy(2, ring, products) @ (basis.group / basis.group.sum(0))
    return mean.mT.unflatten(-1, (5, 2))


def _normal_equations(
    basis: LandmarkBasis,
    state: State,
    where: tuple[Tensor, Tensor, Tensor],
    metric: Tensor,
    force: Tensor,
    *,
    own_only: bool,
) -> ArrowSystem:
    """Exact gradient; curvature with one metric for each group of landmarks."""
    camera, chosen, rows = where
    count, batch = basis.count, len(camera)
    first = basis.identity_count if own_only else 0  # of the coefficients that move
    k = basis.identity_count - first
    in_head = state.rotation[:, None].mT @ metric @ state.rotation[:, None]
    pairs = torch.stack([in_head[..., a, b] for a, b in AXIS_PAIRS], -1).flatten(1)
    expression, cross_shape, shared = (
        (pairs @ table.flatten(1)).unflatten(-1, table.shape[1:])
        for table in (basis.own_gram, basis.cross_gram[..., first:], basis.shared_gram[:, first:, first:])
    )
    arm = camera[..., :count] - state.translation[..., None]
    spread = metric.flatten(2).mT @ basis.group.T  # (B, 9, L): each landmark has its group's metric
    moved, pose = _pose_block(arm, spread.unflatten(1, (3, 3)))
    in_head_frame = state.rotation[:, None].mT @ moved  # (B, 6, 3, L)
    own_basis = basis.basis.unflatten(1, (3, -1))[first:, :, :count].flatten(1)
    cross = (in_head_frame.reshape(6 * batch, 3 * count) @ own_basis.T).unflatten(0, (-1, 6))

    pulled = force.new_zeros(batch, *basis.mean.shape[-2:])
    pulled.scatter_(2, rows[:, None].expand(-1, 3, -1), state.rotation.mT @ force)
    descent = pulled.flatten(1) @ basis.basis[first:].mT
    torque = _sum_cross((chosen - state.translation[..., None]) @ force.mT)
    own = torch.cat([torch.cat([pose, cross[..., k:]], 2), torch.cat([cross[..., k:].mT, expression], 2)], 1)
    return ArrowSystem(
        own=own,
        cross=torch.cat([cross[..., :k], cross_shape], 1),
        shared=shared,
        own_descent=torch.cat([torque, force.sum(2), descent[:, k:]], 1),
        shared_descent=descent[:, :k],
    )


def _pose_block(
    arm: Float[Tensor, "B 3 L"], spread: Float[Tensor, "B 3 3 L"]
) -> tuple[Float[Tensor, "B 6 3 L"], Float[Tensor, "B 6 6"]]:
    """``metric @ motion`` for a turn about the head's origin and a shift, and ``motion^T metric motion``."""
    x, y, z = arm.unbind(1)
    columns = []  # motion = [-skew(arm), I]: a turn about an axis moves a point by axis x arm
    for first, second, a, b in ((1, 2, z, y), (2, 0, x, z), (0, 1, y, x)):
        columns.append(spread[:, :, second] * b[:, None] - spread[:, :, first] * a[:, None])
    moved = torch.cat([torch.stack(columns, 1), spread.transpose(1, 2)], 1)
    shift = moved.sum(-1)  # (B, 6, 3): rows are columns of the motion
    product = arm @ moved.flatten(1, 2).mT  # (B, 3, 18)
    turn = _sum_cross(product.unflatten(2, (6, 3)).permute(0, 2, 1, 3))
    return moved, torch.cat([turn, shift], 2)


def _sum_cross(outer: Float[Tensor, "*B 3 3"]) -> Float[Tensor, "*B 3"]:
    """``sum a x b`` from ``sum a b^T``."""
    entries = [outer[..., 1, 2] - outer[..., 2, 1], outer[..., 2, 0] - outer[..., 0, 2]]
    return torch.stack([*entries, outer[..., 0, 1] - outer[..., 1, 0]], -1)


def _with_expression_prior(
    observed: Observed, state: State, system: ArrowSystem, weighing: LandmarkFitSettings
) -> ArrowSystem:
    strength = weighing.expression_strength
    curvature, pull = expression_prior_terms(observed.expressions, strength, state.expression)
    own = system.own.clone()
    own[:, 6:, 6:] += curvature
    descent = system.own_descent.clone()
    descent[:, 6:] += pull
    return replace(system, own=own, own_descent=descent)
