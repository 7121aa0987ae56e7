"""Pose, identity and expression from 478 detected landmarks: damped Gauss-Newton with priors, batched.

The energy of a photo, in units of its variance: ``sum_l w_l |N_l (z0 (q_l - e_l - project(R X_l + t)))|^2 /
sigma^2 + |identity - c|^2 + prior(a)``; ``q`` are image rays, ``e`` errors that the landmarks of a face have
in common (``common_errors``, eliminated), ``z0`` the first estimate of the distance (so that residuals are mm
at the head), ``c`` the identity that is expected of anyone (``identity_centre``), ``w`` robust weights times
visibility, and ``N`` the identity, or for contour landmarks the direction across the contour. ``prior`` is a
Student distribution over independent directions of the expressions (``priors``), which stay in [0, 1]; of two
that undo one another the weaker is held at 0. The perspective camera is exact from the first step on.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.core.errors import InputError
from facewright.fitting.blocks import in_blocks
from facewright.fitting.landmark_basis import LandmarkBasis, landmark_basis
from facewright.fitting.linearization import linearize, observe, trial_cost
from facewright.fitting.multi_image import ArrowSystem, group_sum, solve_arrow, solve_own
from facewright.fitting.observed import Observed
from facewright.fitting.priors import expression_energy, weaker_of_pairs
from facewright.fitting.records import (
    LANDMARK_SET,
    FaceFit,
    landmark_error,
    photo_camera,
    project_landmarks,
)
from facewright.fitting.settings import LandmarkFitSettings
from facewright.fitting.start import State, default_focal, start
from facewright.fitting.subspace import Step, best_combination, resizing
from facewright.models.face_model import FaceModel
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import ambient_light
from facewright.scene.parameters import HeadParameters
from facewright.scene.pose import Pose

# Six points that are not on one line are the least that tell a pose of the mean head.
LEAST_LANDMARKS = 6
FOLLOWING_STEPS = 2
KNOWN_STEPS = 6


def fit_landmarks(
    model: FaceModel,
    landmarks: Float[Tensor, "B L 2"],
    sizes: tuple[int, int] | Sequence[tuple[int, int]],
    *,
    weights: Float[Tensor, "B L"] | None = None,
    focal: Float[Tensor, " B"] | None = None,
    groups: Int64[Tensor, " B"] | None = None,
    basis: LandmarkBasis | None = None,
    settings: LandmarkFitSettings | None = None,
) -> FaceFit:
    """Fit pose, identity and expression to detected landmarks.

    Args:
        model: its "dense478" set corresponds to the landmarks.
        landmarks: 478 pixel positions of each photo.
        sizes: (height, width) of the photos, or one for all.
        weights: trust in each landmark, 1 ordinary, 0 ignore.
        focal: focal lengths in pixels, NaN or <= 0 where unknown.
        groups: photos of the same number show the same person and get one identity; None: all different.
        basis: ``landmark_basis(model)``, to save making it again.
        settings: defaults if None.

    Returns:
        The fit; albedo coefficients are zero and the light is ambient.

    Raises:
        InputError: a shape or a size does not fit, a coordinate is not finite, or a face has no extent.
    """
    settings = settings or LandmarkFitSettings()
    basis = basis or landmark_basis(model)
    sizes = _sizes(sizes, len(landmarks))
    _check(landmarks, weights, groups, basis)
    landmarks = landmarks.to(basis.mean.dtype)
    weights = torch.ones_like(landmarks[..., 0]) if weights is None else weights.to(landmarks.dtype)
    principal = landmarks.new_tensor([(width / 2, height / 2) for height, width in sizes])
    rule = settings.default_distance, settings.least_focal
    focal = default_focal(basis, (landmarks, weights), sizes, focal, rule)
    rays = (landmarks - principal[:, None]) / focal[:, None, None]
    person = _persons(groups, len(landmarks), landmarks.device)
    state = start(basis, rays, weights, person)
    observed = observe(basis, rays, weights, person, state.translation[:, 2].clone(), settings.common_errors)
    state = replace(state, expression=observed.expressions.centre.clamp(0, 1))
    state = in_blocks(lambda seen, begun: _iterate(basis, seen, begun, settings), observed, state)
    return _result(model, basis, state, (landmarks, person), photo_camera(focal, principal, sizes), sizes)


def _iterate(basis: LandmarkBasis, observed: Observed, state: State, settings: LandmarkFitSettings) -> State:
    persons, person = len(state.identity), observed.person
    damping = observed.rays.new_full((persons,), settings.damping)
    last, trusted = None, damping.new_ones(persons)
    for number in range(settings.iterations):
        linear = linearize(basis, observed, state, settings)
        # Only after the first step is it known which of two opposed expressions a face shows.
        opposed = basis.opposed[: None if number else 0]
        step = damped_step(
            person, state, linear.system, damping, settings, opposed=opposed, centre=basis.centre
        )
        directions = [step, resizing(basis, state), *([] if last is None else [last])]
        best = best_combination(basis, observed, state, linear, directions, settings)
        # Where expressions met their bounds the combination may have failed: then the plain step is next.
        change = best.scaled(trusted, person).plus(step.scaled(1 - trusted, person))
        trial = change.applied(state)
        before = linear.cost + prior_cost(basis, observed, state, settings)
        after = trial_cost(basis, observed, trial, linear) + prior_cost(basis, observed, trial, settings)
        better = group_sum(before - after, person, persons) >= 0
        better = better & torch.isfinite(group_sum(after, person, persons))
        state = state.where(better, trial, person)
        last, trusted = change.scaled(better.to(damping), person), better.to(damping)
        damping = torch.where(better, damping * 0.1, damping * 10).clamp(1e-8, 1e3)
    if basis.errors is not None:
        telling = replace(observed, weights=observed.weights * basis.telling)
        state = follow(basis, telling, state, settings, steps=FOLLOWING_STEPS)
    weaker = weaker_of_pairs(basis.opposed, state.expression, state.expression)
    return replace(state, expression=state.expression.masked_fill(weaker, 0.0))


def follow(
    basis: LandmarkBasis,
    observed: Observed,
    state: State,
    settings: LandmarkFitSettings,
    *,
    steps: int = 1,
    pose_only: bool = False,
) -> State:
    """Pose and expression at the landmarks as seen, the identity fixed; or the pose alone.

    Common errors were measured on faces at rest for the most part: a mouth wide open is no error.
    """
    basis, person = replace(basis, errors=None), observed.person
    damping = observed.rays.new_full((len(person),), 1e-4)
    for _ in range(steps):
        linear = linearize(basis, observed, state, settings, own_only=True)
        step = _following_step(basis, state, linear.system, damping, pose_only=pose_only)
        trial = step.applied(state)
        before = linear.cost + prior_cost(basis, observed, state, settings)
        after = trial_cost(basis, observed, trial, linear) + prior_cost(basis, observed, trial, settings)
        better = after <= before
        state = State(
            torch.where(better[:, None, None], trial.rotation, state.rotation),
            torch.where(better[:, None], trial.translation, state.translation),
            state.identity,
            torch.where(better[:, None], trial.expression, state.expression),
        )
    return state


def _following_step(
    basis: LandmarkBasis, state: State, system: ArrowSystem, damping: Float[Tensor, " B"], *, pose_only: bool
) -> Step:
    lower, upper = -state.expression, 1 - state.expression
    descent = system.own_descent
    weaker = weaker_of_pairs(basis.opposed, state.expression, descent[:, 6:])
    mask = ((lower >= 0) & (descent[:, 6:] < 0)) | ((upper <= 0) & (descent[:, 6:] > 0)) | weaker
    mask, weaker = mask | pose_only, weaker & (not pose_only)
    rest = torch.where(weaker, lower, torch.zeros_like(lower))
    free = torch.zeros(len(mask), 6, dtype=torch.bool, device=mask.device)
    pinned = torch.cat([free, mask], 1), torch.cat([torch.zeros_like(descent[:, :6]), rest], 1)
    own = solve_own(system, torch.zeros_like(system.shared_descent), damping, pinned)
    return Step(own, torch.zeros_like(state.identity))


def damped_step(
    person: Int64[Tensor, " B"],
    state: State,
    system: ArrowSystem,
    damping: Float[Tensor, " P"],
    settings: LandmarkFitSettings,
    *,
    opposed: Int64[Tensor, "Q 2"],
    centre: Float[Tensor, " S"],
) -> Step:
    """One damped step; expressions that would leave [0, 1] stop there and the others are solved again.

    The weaker of two opposed expressions goes to rest.
    """
    prior = (
        torch.full_like(state.identity, settings.identity_strength),
        settings.identity_strength * (centre - state.identity),
    )
    lower, upper = -state.expression, 1 - state.expression
    outwards = system.own_descent[:, 6:]
    weaker = weaker_of_pairs(opposed, state.expression, outwards)
    mask = ((lower >= 0) & (outwards < 0)) | ((upper <= 0) & (outwards > 0)) | weaker
    free_pose = torch.zeros_like(state.translation).repeat(1, 2)
    rest = torch.where(weaker, lower, torch.zeros_like(lower))
    pinned = torch.cat([free_pose > 0, mask], 1), torch.cat([free_pose, rest], 1)
    own, shared = solve_arrow(system, prior, person, damping, pinned)
    over = (own[:, 6:] < lower) | (own[:, 6:] > upper)
    value = torch.where(over, own[:, 6:].clamp(lower, upper), rest)
    pinned = torch.cat([free_pose > 0, mask | over], 1), torch.cat([free_pose, value], 1)
    own = solve_own(system, shared[person], damping[person], pinned)
    return Step(torch.cat([own[:, :6], own[:, 6:].clamp(lower, upper)], 1), shared)


def prior_cost(
    basis: LandmarkBasis, observed: Observed, state: State, settings: LandmarkFitSettings
) -> Float[Tensor, " B"]:
    """Prior energy; a person's identity is shared out over the person's photos."""
    person = observed.person
    photos = torch.bincount(person, minlength=len(state.identity)).to(state.identity.dtype)
    identity = settings.identity_strength * ((state.identity - basis.centre) ** 2).sum(1) / photos
    return identity[person] + expression_energy(
        observed.expressions, settings.expression_strength, state.expression
    )


def refit_known(
    model: FaceModel,
    fit: FaceFit,
    identity: Float[Tensor, "B K_identity"],
    *,
    basis: LandmarkBasis | None = None,
    steps: int = KNOWN_STEPS,
) -> FaceFit:
    """Pose and expression of heads whose identity is known from elsewhere.

    Args:
        model: the one of the fit.
        fit: of ``fit_landmarks``: camera, detected landmarks, and where to start.
        identity: of each photo, standard deviations.
        basis: ``landmark_basis(model)``, to save making it again.
        steps: of the fit.

    Raises:
        InputError: the camera is no perspective one.
    """
    at, camera, settings = fit.parameters, fit.parameters.camera, LandmarkFitSettings()
    if not isinstance(camera, PerspectiveCamera):
        raise InputError("expected a fit that is seen by a perspective camera.")
    basis = basis or landmark_basis(model)
    rays = (fit.detected_px - camera.principal[:, None]) / camera.focal[:, None, None]
    weights = torch.ones_like(rays[..., 0])
    person = torch.arange(len(rays), device=rays.device)
    depth = at.pose.translation[:, 2].clone()
    observed = observe(basis, rays, weights, person, depth, settings.common_errors)
    known, untold = identity.to(rays).tensor_split([basis.identity_count], 1)
    basis = basis.with_untold(untold)
    state = State(at.pose.rotation, at.pose.translation, known, at.expression)
    for _ in range(steps):
        state = follow(basis, observed, state, settings)
    pose = Pose(state.rotation, state.translation)
    found = replace(at, identity=identity.to(rays), expression=state.expression, pose=pose)
    return with_parameters(model, found, fit.detected_px, fit)


def with_parameters(
    model: FaceModel, parameters: HeadParameters, detected: Float[Tensor, "B 478 2"], like: FaceFit
) -> FaceFit:
    """The record of a fit with other parameters: its landmarks and residual made anew."""
    vertices = model.vertices(parameters.identity, parameters.expression)
    points = model.landmark_points(vertices, LANDMARK_SET)
    pixels = project_landmarks(parameters, points)
    keep = (~model.landmarks[LANDMARK_SET].contour).to(points.dtype).expand(len(points), -1)
    seen = pixels if like.placement is None else project_landmarks(parameters, points + like.placement)
    return replace(
        like,
        parameters=parameters,
        landmarks_head=points,
        landmarks_px=pixels,
        residual=landmark_error(seen, detected, keep),
    )


def _result(
    model: FaceModel,
    basis: LandmarkBasis,
    state: State,
    observed: tuple[Tensor, Tensor],
    camera: PerspectiveCamera,
    sizes: tuple[tuple[int, int], ...],
) -> FaceFit:
    landmarks, person = observed
    batch = len(landmarks)
    parameters = HeadParameters(
        identity=torch.cat([state.identity, basis.untold.repeat(len(state.identity), 1)], 1)[person],
        expression=state.expression,
        diffuse=landmarks.new_zeros(batch, model.diffuse_count),
        specular=landmarks.new_zeros(batch, model.specular_count),
        pose=Pose(state.rotation, state.translation),
        camera=camera,
        light=ambient_light(batch, device=landmarks.device),
    )
    placement = basis.placement[:, : basis.count].mT.contiguous()
    seen = basis.points(state.coefficients(person))[..., : basis.count].mT
    points = (seen - placement).contiguous()
    pixels = project_landmarks(parameters, points)
    keep = (~basis.contour).to(landmarks.dtype).expand(batch, -1)
    residual = landmark_error(project_landmarks(parameters, seen), landmarks, keep)
    return FaceFit(parameters, sizes, points, pixels, landmarks, residual, placement=placement)


def _sizes(sizes: tuple[int, int] | Sequence[tuple[int, int]], batch: int) -> tuple[tuple[int, int], ...]:
    if len(sizes) == 2 and isinstance(sizes[0], int) and isinstance(sizes[1], int):
        sizes = [(sizes[0], sizes[1])] * batch
    if len(sizes) != batch:
        raise InputError(f"expected one (height, width) or one for each of {batch} photos, got {len(sizes)}.")
    pairs = tuple((int(size[0]), int(size[1])) for size in sizes if isinstance(size, Sequence))
    if any(min(pair) < 1 for pair in pairs):
        raise InputError(f"photo sizes must be at least 1x1, got {min(pairs)}.")
    return pairs


def _persons(groups: Tensor | None, batch: int, device: torch.device) -> Int64[Tensor, " B"]:
    if groups is None:
        return torch.arange(batch, device=device)
    return torch.unique(groups.to(device), return_inverse=True)[1]


def _check(landmarks: Tensor, weights: Tensor | None, groups: Tensor | None, basis: LandmarkBasis) -> None:
    expected = (len(landmarks), basis.count)
    if len(landmarks) == 0:
        raise InputError("expected landmarks of at least one face, got none.")
    if landmarks.shape[1] != basis.count:
        raise InputError(f"expected {basis.count} landmarks a face, got {landmarks.shape[1]}.")
    if not bool(torch.isfinite(landmarks).all()):
        raise InputError("landmarks must be finite, got NaN or infinity: leave out the face.")
    if bool(((landmarks.amax(1) - landmarks.amin(1)) < 1e-3).all(-1).any()):
        raise InputError("the landmarks of a face coincide: leave out the face.")
    if weights is not None and (weights.shape != expected or not bool((weights >= 0).all())):
        raise InputError(f"weights must be >= 0 and of shape {expected}, got {tuple(weights.shape)}.")
    if weights is not None and bool((((weights > 0) & ~basis.contour).sum(1) < LEAST_LANDMARKS).any()):
        raise InputError(
            f"a face needs at least {LEAST_LANDMARKS} landmarks with weight besides those of the contour, "
            "which cannot tell a pose: leave out the face."
        )
    if groups is not None and tuple(groups.shape) != expected[:1]:
        raise InputError(f"groups must have shape {expected[:1]}, got {tuple(groups.shape)}.")
