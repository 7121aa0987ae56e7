"""Identity, expression and pose from shading, landmarks and priors together: damped Gauss-Newton.

A sample is a point of the surface that the renderer sees in a pixel of the crop. Its residual is the rendered
brightness minus the photo's brightness where the point is projected to, in linear light, relative to the
face's brightness. Light and albedo are fixed here. The Jacobian is analytic: a moved vertex turns the normals
around it and slides the photo under the point. Its normal equations are added to those of the landmark fit,
so bounds, priors and several photos of one person are the landmark fit's.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import grid_sample

from facewright.core.errors import InputError
from facewright.fitting.appearance import LightPrior
from facewright.fitting.face_crop import FaceCrops
from facewright.fitting.landmark import damped_step, prior_cost
from facewright.fitting.landmark_basis import LandmarkBasis
from facewright.fitting.linearization import Linearized, Observed, linearize, observe, trial_cost
from facewright.fitting.multi_image import ArrowSystem, group_sum
from facewright.fitting.records import FaceFit
from facewright.fitting.settings import LandmarkFitSettings
from facewright.fitting.skin import skin_weight
from facewright.fitting.start import State
from facewright.geometry.normals import face_normals, vertex_normals
from facewright.image.color import LUMINANCE_WEIGHTS, luminance
from facewright.models.face_model import FaceModel
from facewright.render.shading import unit
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import SH_CONSTANTS, SphericalHarmonicsLight, sh_basis, sh_basis_gradient
from facewright.scene.parameters import HeadParameters
from facewright.scene.pose import Pose

# Shading tells of the identity modes that vary most; the rest stay with landmarks and prior.
SHADED_MODES = 60
# A sample whose residual is more than this many median residuals is no skin: hair, glasses, a cast shadow.
CUT = 3.0
LEAST_SCALE = 0.03
# Shading is less linear than landmarks: shorter first steps than theirs.
START_DAMPING = 0.03
DARK = 0.02


@dataclass(frozen=True)
class SurfaceSamples:
    """Points of one head that show skin in one photo.

    Attributes:
        corners: vertices of the triangle around each.
        barycentric: weights of the corners.
        albedo: linear RGB over the face's typical brightness.
        typical: that brightness.
        weight: trust in each; sums to the photo's precision.
    """

    corners: Int64[Tensor, "P 3"]
    barycentric: Float[Tensor, "P 3"]
    albedo: Float[Tensor, "P 3"]
    typical: Float[Tensor, ""]
    weight: Float[Tensor, " P"]
    appearance: "_Appearance | None" = None


@dataclass(frozen=True)
class _Appearance:
    """Change of light and albedo that a photo leaves open, to be eliminated; N = 9 + albedo coefficients.

    Attributes:
        jacobian: of the residuals.
        lower: Cholesky factor of its curvature, prior included.
        descent: of the prior.
    """

    jacobian: Float[Tensor, "P N"]
    lower: Float[Tensor, "N N"]
    descent: Float[Tensor, " N"]

    def cost(self, weight: Tensor, residual: Tensor) -> Tensor:
        """Of the residuals and the prior where light and albedo fit best, less the prior's constant."""
        right = self.descent - self.jacobian.mT @ (weight * residual)
        half = torch.linalg.solve_triangular(self.lower, right[:, None], upper=False)
        return (weight * residual**2).sum() - (half**2).sum()


@dataclass(frozen=True)
class _Ring:
    """Triangles around each vertex: those of vertex v are ``triangle[first[v] : first[v] + count[v]]``."""

    triangle: Int64[Tensor, " N"]
    first: Int64[Tensor, " V"]
    count: Int64[Tensor, " V"]


@dataclass(frozen=True)
class _Shading:
    """Everything that stays the same while the shape moves."""

    model: FaceModel
    crops: FaceCrops
    brightness: Float[Tensor, "B 3 S S"]
    light: Float[Tensor, "B 9 3"]
    albedo: Float[Tensor, "B V 3"]
    basis: Float[Tensor, "M K"]
    identities: int
    ring: _Ring
    precision: float
    diffuse: Float[Tensor, "B K_diffuse"]
    prior: LightPrior | None


def refine_shape(
    model: FaceModel,
    crops: FaceCrops,
    fit: FaceFit,
    person: Int64[Tensor, " B"],
    how: tuple[LandmarkBasis, LandmarkFitSettings, float, int],
    prior: LightPrior | None = None,
) -> HeadParameters:
    """Move identity, expression and pose towards the shading.

    Args:
        model: face model.
        crops: of each photo.
        fit: with albedo and light; identities alike in all photos of a person.
        person: which person each photo shows, 0 to P - 1.
        how: landmarks of the model; how they are weighed; how many independent pixels of 100 % relative error
            a photo is worth; iterations.
        prior: of the light, which then may change with the shape, and so may the albedo; None: known.

    Returns:
        Parameters; where no step lowered the energy they are the old ones.
    """
    basis, weighing, precision, iterations = how
    shading = _prepare(model, crops, fit.parameters, (basis.identity_count, precision), prior)
    observed, state = _landmark_state(basis, fit, person, weighing)
    persons = len(state.identity)
    damping = observed.rays.new_full((persons,), START_DAMPING)
    for _ in range(iterations):
        linear = linearize(basis, observed, state, weighing)
        parameters = _with_state(fit.parameters, state, person)
        samples, system, before = _linearize_photos(shading, parameters, linear.system)
        changed = replace(linear, system=system)
        step = damped_step(observed, state, changed, damping, weighing, opposed=basis.opposed)
        trial = step.applied(state)
        after = _photo_costs(shading, _with_state(fit.parameters, trial, person), samples)
        before = before + linear.cost + prior_cost(basis, state, person, weighing)
        after = after + _landmark_cost(basis, observed, trial, linear, weighing)
        better = group_sum(before - after, person, persons) > 0
        state = state.where(better, trial, person)
        damping = torch.where(better, damping * 0.3, damping * 10).clamp(1e-5, 1e3)
    return _with_state(fit.parameters, state, person)


def _landmark_cost(
    basis: LandmarkBasis, observed: Observed, trial: State, linear: Linearized, weighing: LandmarkFitSettings
) -> Float[Tensor, " B"]:
    data = trial_cost(basis, observed, trial, linear)
    return data + prior_cost(basis, trial, observed.person, weighing)


def _landmark_state(
    basis: LandmarkBasis, fit: FaceFit, person: Tensor, weighing: LandmarkFitSettings
) -> tuple[Observed, State]:
    parameters, camera = fit.parameters, fit.parameters.camera
    if not isinstance(camera, PerspectiveCamera):
        raise InputError("expected a fit with a perspective camera, got a weak-perspective one.")
    rays = (fit.detected_px - camera.principal[:, None]) / camera.focal[:, None, None]
    pose = parameters.pose
    first = torch.stack([(person == number).nonzero()[0, 0] for number in range(int(person.max()) + 1)])
    identity = parameters.identity[first, : basis.identity_count]
    state = State(pose.rotation, pose.translation, identity, parameters.expression)
    weights = torch.ones_like(rays[..., 0])
    return observe(
        basis, rays, weights, person, pose.translation[:, 2].clone(), weighing.common_errors
    ), state


def _with_state(parameters: HeadParameters, state: State, person: Tensor) -> HeadParameters:
    identity = parameters.identity.clone()
    identity[:, : state.identity.shape[1]] = state.identity[person]
    pose = Pose(state.rotation, state.translation)
    return replace(parameters, identity=identity, expression=state.expression, pose=pose)


def _prepare(
    model: FaceModel,
    crops: FaceCrops,
    parameters: HeadParameters,
    how: tuple[int, float],
    prior: LightPrior | None,
) -> _Shading:
    identities = min(how[0], SHADED_MODES)
    basis = torch.cat([model.identity_basis[:identities], model.expression_basis]).flatten(1)
    return _Shading(
        model=model,
        crops=crops,
        brightness=_with_slopes(crops.images),
        light=parameters.light.coefficients,
        albedo=model.diffuse_albedo(parameters.diffuse),
        basis=basis.mT.contiguous(),
        identities=identities,
        ring=_rings(model.topology.faces, len(model.mean)),
        precision=how[1],
        diffuse=parameters.diffuse,
        prior=prior,
    )


def _rings(faces: Tensor, vertices: int) -> _Ring:
    flat = faces.flatten()
    count = torch.bincount(flat, minlength=vertices)
    return _Ring(flat.argsort(stable=True) // 3, count.cumsum(0) - count, count)


def _linearize_photos(
    shading: _Shading, parameters: HeadParameters, system: ArrowSystem
) -> tuple[list[SurfaceSamples], ArrowSystem, Float[Tensor, " B"]]:
    """Samples and photo energy of each photo, and the landmarks' normal equations with the photos' added."""
    samples, costs = surface_samples(shading, parameters), []
    camera = _camera_vertices(shading, parameters)
    parts = {name: getattr(system, name).clone() for name in system.__dataclass_fields__}
    k = shading.identities
    for row, points in enumerate(samples):
        residual, pull, slide = _residual(shading, row, points, camera[row], jacobian=True)
        weight = points.weight * _tukey(residual, points.weight)
        points = replace(points, weight=weight)
        samples[row] = replace(points, appearance=_appearance(shading, row, points, camera[row]))
        costs.append(_cost(samples[row], residual))
        pose = parameters.pose.rotation[row], parameters.pose.translation[row]
        jacobian = _jacobian(shading, points, camera[row], (pull, slide), pose)
        curvature, descent = _normal_equations(samples[row], jacobian, residual)
        own = torch.cat([torch.arange(6), torch.arange(6 + k, len(descent))]).to(descent.device)
        parts["own"][row] += curvature[own][:, own]
        parts["cross"][row, :, :k] += curvature[own, 6 : 6 + k]
        parts["shared"][row, :k, :k] += curvature[6 : 6 + k, 6 : 6 + k]
        parts["own_descent"][row] += descent[own]
        parts["shared_descent"][row, :k] += descent[6 : 6 + k]
    return samples, ArrowSystem(**parts), torch.stack(costs)


def _normal_equations(samples: SurfaceSamples, jacobian: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
    """Curvature and descent of a photo's energy, light and albedo eliminated (Schur complement)."""
    weighted = jacobian * samples.weight[:, None]
    curvature, descent = weighted.mT @ jacobian, -(weighted.mT @ residual)
    free = samples.appearance
    if free is None:
        return curvature, descent
    right = free.descent - free.jacobian.mT @ (samples.weight * residual)
    columns = torch.cat([free.jacobian.mT @ weighted, right[:, None]], 1)
    half = torch.linalg.solve_triangular(free.lower, columns, upper=False)
    return curvature - half[:, :-1].mT @ half[:, :-1], descent - half[:, :-1].mT @ half[:, -1]


def _cost(samples: SurfaceSamples, residual: Tensor) -> Tensor:
    if samples.appearance is None:
        return (samples.weight * residual**2).sum()
    return samples.appearance.cost(samples.weight, residual)


def _appearance(
    shading: _Shading, row: int, samples: SurfaceSamples, camera: Float[Tensor, "V 3"]
) -> _Appearance | None:
    """How brightness follows white light and albedo, with their priors."""
    prior = shading.prior
    if prior is None:
        return None
    faces, corners = shading.model.topology.faces, samples.corners
    share = samples.barycentric[..., None]
    normal = unit((vertex_normals(camera[None], faces)[0][corners] * share).sum(1))
    light = shading.light[row]
    lit = SphericalHarmonicsLight(light[None]).shading(normal[None])[0]
    by_light = sh_basis(normal) * luminance(samples.albedo * (lit > 0))[:, None]
    change = (shading.model.diffuse_basis[:, corners] * share).sum(2) / samples.typical
    jacobian = torch.cat([by_light, luminance(change * lit).mT], 1)
    std = [prior.level_std / SH_CONSTANTS[0], *[prior.band_std[1]] * 3, *[prior.band_std[2]] * 5]
    strength = torch.cat([light.new_tensor(std) ** -2, torch.ones_like(shading.diffuse[row])])
    centre = torch.zeros_like(strength)
    centre[0] = prior.level / SH_CONSTANTS[0]
    now = torch.cat([light.mean(1), shading.diffuse[row]])
    curvature = (jacobian * samples.weight[:, None]).mT @ jacobian + torch.diag(strength)
    return _Appearance(jacobian, torch.linalg.cholesky(curvature), strength * (centre - now))


def _photo_costs(
    shading: _Shading, parameters: HeadParameters, samples: list[SurfaceSamples]
) -> Float[Tensor, " B"]:
    camera = _camera_vertices(shading, parameters)
    costs = []
    for row, points in enumerate(samples):
        residual, _, _ = _residual(shading, row, points, camera[row], jacobian=False)
        costs.append(_cost(points, residual))
    return torch.stack(costs)


def _camera_vertices(shading: _Shading, parameters: HeadParameters) -> Float[Tensor, "B V 3"]:
    vertices = shading.model.vertices(parameters.identity, parameters.expression)
    return parameters.pose.camera_from_head(vertices)


def surface_samples(shading: _Shading, parameters: HeadParameters) -> list[SurfaceSamples]:
    """What each pixel of the crops shows, with trust by how it faces the camera."""
    fragments, weight = skin_weight(shading.model, shading.crops, parameters)
    samples = []
    place = torch.arange(weight.shape[1], device=weight.device)
    chequer = (place[:, None] + place) % 2  # neighbours say nearly the same
    for row, trust in enumerate(weight):
        seen = (trust > 0.1) & (chequer == 0)
        corners = shading.model.topology.faces[fragments.triangle[row][seen].long()]
        barycentric, share = fragments.barycentric[row][seen], trust[seen]
        color = shading.crops.images[row][seen]
        typical = luminance(color).median() + DARK if len(color) else color.new_tensor(1.0)
        albedo = (shading.albedo[row][corners] * barycentric[..., None]).sum(1) / typical
        share = share / share.sum().clamp_min(1e-9) * shading.precision
        samples.append(SurfaceSamples(corners, barycentric, albedo, typical, share))
    return samples


def _residual(
    shading: _Shading, row: int, samples: SurfaceSamples, camera: Float[Tensor, "V 3"], *, jacobian: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Rendered minus seen brightness, and its gradients by each vertex' normal sum and by the point."""
    corners, barycentric = samples.corners, samples.barycentric
    triangles = face_normals(camera[None], shading.model.topology.faces)[0]
    sums = torch.zeros_like(camera)
    for corner in range(3):
        sums.index_add_(0, shading.model.topology.faces[:, corner], triangles)
    lengths = sums.norm(dim=-1).clamp_min(1e-9)
    own = (sums / lengths[:, None])[corners]  # (P, 3, 3)
    mixed = (own * barycentric[..., None]).sum(1)
    normal = unit(mixed)
    light = SphericalHarmonicsLight(shading.light[row : row + 1])
    lit = light.shading(normal[None])[0]
    drawn = luminance(samples.albedo * lit)
    point = (camera[corners] * barycentric[..., None]).sum(1)
    seen, slope = _seen(shading, row, point)
    residual = drawn - seen / samples.typical
    if not jacobian:
        return residual, mixed, point
    weights = samples.albedo * (lit > 0) * samples.albedo.new_tensor(LUMINANCE_WEIGHTS)
    bend = torch.einsum("pkd,kc,pc->pd", sh_basis_gradient(normal), shading.light[row], weights)
    bend = _across(bend, normal) / mixed.norm(dim=-1, keepdim=True).clamp_min(1e-9)
    pull = _across(bend[:, None], own) * (barycentric / lengths[corners])[..., None]
    return residual, pull, -slope / samples.typical


def _across(vectors: Tensor, normals: Tensor) -> Tensor:
    return vectors - (vectors * normals).sum(-1, keepdim=True) * normals


def _seen(shading: _Shading, row: int, points: Float[Tensor, "P 3"]) -> tuple[Tensor, Tensor]:
    """Brightness of the photo where points are projected to, and its gradient by the points."""
    camera, image = shading.crops.camera, shading.brightness[row]
    if not isinstance(camera, PerspectiveCamera):
        raise InputError("expected crops with a perspective camera, got a weak-perspective one.")
    focal, principal = camera.focal[row], camera.principal[row]
    rays = points[:, :2] / points[:, 2:]
    pixels = focal * rays + principal
    place = pixels / pixels.new_tensor([image.shape[-1], image.shape[-2]]) * 2 - 1
    found = grid_sample(image[None], place[None, None], padding_mode="border", align_corners=False)[0, :, 0]
    value, across, down = found
    by_ray = focal * torch.stack([across, down, -(across * rays[:, 0] + down * rays[:, 1])], 1)
    return value, by_ray / points[:, 2:]


def _jacobian(
    shading: _Shading,
    samples: SurfaceSamples,
    camera: Float[Tensor, "V 3"],
    gradients: tuple[Float[Tensor, "P 3 3"], Float[Tensor, "P 3"]],
    pose: tuple[Float[Tensor, "3 3"], Float[Tensor, " 3"]],
) -> Float[Tensor, "P D"]:
    """Of the residuals by pose (turn, shift), identity and expression."""
    rotation, translation = pose
    row, vertex, force = _vertex_gradients(shading, samples, camera, gradients)
    count = len(samples.weight)
    motion = force.new_zeros(count, 6)
    turn = torch.linalg.cross(camera[vertex] - translation, force)
    motion.index_add_(0, row, torch.cat([turn, force], 1))
    columns = (3 * vertex[:, None] + torch.arange(3, device=vertex.device)).flatten()
    index = torch.stack([row.repeat_interleave(3), columns])
    size = (count, len(shading.basis))
    sparse = torch.sparse_coo_tensor(index, (force @ rotation).flatten(), size, check_invariants=False)
    return torch.cat([motion, torch.sparse.mm(sparse.coalesce(), shading.basis)], 1)


def _vertex_gradients(
    shading: _Shading, samples: SurfaceSamples, camera: Tensor, gradients: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Sample, vertex, and gradient of its residual by that vertex (camera frame); pairs may repeat."""
    pull, slide = gradients
    ring, faces, device = shading.ring, shading.model.topology.faces, camera.device
    around = ring.count[samples.corners.flatten()]
    corner = torch.arange(len(around), device=device).repeat_interleave(around)
    within = torch.arange(len(corner), device=device) - (around.cumsum(0) - around)[corner]
    triangle = faces[ring.triangle[ring.first[samples.corners.flatten()][corner] + within]]
    a, b, c = camera[triangle].unbind(1)
    # The normal a x b + b x c + c x a of a triangle changes by da x (b - c) when a moves, and so on.
    edges = torch.stack([b - c, c - a, a - b], 1)
    bent = torch.linalg.cross(edges, pull.flatten(0, 1)[corner][:, None].expand_as(edges))
    sample = corner // 3
    slid = slide[:, None] * samples.barycentric[..., None]
    own = torch.arange(len(slide), device=device).repeat_interleave(3)
    return (
        torch.cat([sample.repeat_interleave(3), own]),
        torch.cat([triangle.flatten(), samples.corners.flatten()]),
        torch.cat([bent.flatten(0, 1), slid.flatten(0, 1)]),
    )


def _tukey(residual: Tensor, weight: Tensor) -> Tensor:
    """Weights by residual: hair, glasses, highlights and cast shadows do not count."""
    if len(residual) == 0:
        return weight
    squared = residual**2
    scale = squared.median().clamp_min(LEAST_SCALE**2)
    return (1 - squared / (CUT**2 * scale)).clamp_min(0) ** 2


def _with_slopes(images: Float[Tensor, "B S S 3"]) -> Float[Tensor, "B 3 S S"]:
    """Brightness of images and its central differences along x and y."""
    value = luminance(images)
    across, down = torch.zeros_like(value), torch.zeros_like(value)
    across[..., 1:-1] = (value[..., 2:] - value[..., :-2]) / 2
    down[:, 1:-1] = (value[:, 2:] - value[:, :-2]) / 2
    return torch.stack([value, across, down], 1)
