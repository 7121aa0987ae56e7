"""Identity, expression and pose from shading, landmarks and priors together: damped Gauss-Newton.

A sample is a point of the surface that the renderer sees in a pixel of the crop. Its residual is the rendered
brightness minus the photo's brightness where the point is projected to, in linear light, relative to the
face's brightness. The normal equations of a photo's samples, with light, albedo and patches of common error
eliminated, are added to those of the landmark fit at its end: bounds, priors, the landmarks' common errors
and several photos of one person are the landmark fit's, and shading that tells nothing changes nothing.
"""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.fitting.appearance import LightPrior
from facewright.fitting.face_crop import FaceCrops
from facewright.fitting.landmark import damped_step, follow
from facewright.fitting.landmark_basis import LandmarkBasis
from facewright.fitting.landmark_prior import landmark_prior
from facewright.fitting.multi_image import ArrowSystem, group_sum
from facewright.fitting.records import FaceFit
from facewright.fitting.settings import LandmarkFitSettings
from facewright.fitting.shading_residual import (
    MovedSurface,
    PhotoView,
    difference,
    photo_views,
    rings,
    shape_jacobian,
)
from facewright.fitting.shading_samples import (
    Appearance,
    Freedom,
    PhotoTrust,
    SurfaceSamples,
    freedom,
    patch_weights,
    surface_samples,
)
from facewright.fitting.start import State
from facewright.models.face_model import FaceModel
from facewright.scene.parameters import HeadParameters
from facewright.scene.pose import Pose

# Shading is less linear than landmarks: shorter first steps than theirs.
START_DAMPING = 0.03


@dataclass(frozen=True)
class ShapeSettings:
    """How the shape follows the shading.

    Attributes:
        iterations: Gauss-Newton steps.
        pixels: how many independent pixels a photo is worth; each errs as the photo's residuals do.
        believed: relative error that shape explains; a photo that differs more from its rendering than that
            tells less.
        patch_std: relative error that neighbouring pixels have in common.
        modes: identity modes that shading tells of; the rest stays with landmarks and prior.
        resolution: side (px) of the crop.
        landmarks: how landmarks are weighed meanwhile.
    """

    iterations: int = 2
    pixels: float = 300.0
    believed: float = 0.05
    patch_std: float = 0.02
    modes: int = 60
    resolution: int = 96
    landmarks: LandmarkFitSettings = field(default_factory=LandmarkFitSettings)


@dataclass(frozen=True)
class _Scene:
    """Everything that stays the same while the shape moves."""

    model: FaceModel
    crops: FaceCrops
    views: list[PhotoView]
    appearance: Appearance
    surface: MovedSurface
    identities: int
    trust: PhotoTrust


Photo = tuple[SurfaceSamples, Freedom]


def refine_shape(
    model: FaceModel,
    crops: FaceCrops,
    fit: FaceFit,
    person: Int64[Tensor, " B"],
    basis: LandmarkBasis,
    prior: LightPrior | None,
    settings: ShapeSettings,
) -> HeadParameters:
    """Move identity, expression and pose towards the shading.

    Args:
        model: face model.
        crops: of each photo.
        fit: with albedo and light; identities alike in all photos of a person.
        person: which person each photo shows, 0 to P - 1.
        basis: landmarks of the model.
        prior: of the light, which then may change with the shape, and so may the albedo; None: known.
        settings: weights and steps.

    Returns:
        Parameters; where no step lowered the energy they are the old ones.

    Raises:
        InputError: the camera is none with a perspective.
    """
    scene = _scene(model, crops, fit.parameters, basis.identity_count, prior, settings)
    known = landmark_prior(basis, fit, person, settings.landmarks)
    state = known.centre
    persons = len(state.identity)
    damping = state.translation.new_full((persons,), START_DAMPING)
    free = replace(settings.landmarks, identity_strength=0.0)  # it is in what is known
    for _ in range(settings.iterations):
        parameters = _with_state(fit.parameters, state, person)
        system, before = known.around(state)
        photos, system, seen = _linearize_photos(scene, parameters, system)
        step = damped_step(person, state, system, damping, free, opposed=basis.opposed, centre=basis.centre)
        trial = step.applied(state)
        after = known.cost(trial) + _photo_costs(scene, _with_state(fit.parameters, trial, person), photos)
        better = group_sum(before + seen - after, person, persons) > 0
        state = state.where(better, trial, person)
        damping = torch.where(better, damping * 0.3, damping * 10).clamp(1e-5, 1e3)
    if basis.errors is not None:
        # Errors that landmarks have in common may move a head in the photo: nothing says that this one moved.
        state = follow(basis, known.observed, state, settings.landmarks, pose_only=True)
    return _with_state(fit.parameters, state, person)


def _with_state(parameters: HeadParameters, state: State, person: Tensor) -> HeadParameters:
    identity = parameters.identity.clone()
    identity[:, : state.identity.shape[1]] = state.identity[person]
    pose = Pose(state.rotation, state.translation)
    return replace(parameters, identity=identity, expression=state.expression, pose=pose)


def _scene(
    model: FaceModel,
    crops: FaceCrops,
    parameters: HeadParameters,
    identities: int,
    prior: LightPrior | None,
    settings: ShapeSettings,
) -> _Scene:
    identities = min(identities, settings.modes)
    basis = torch.cat([model.identity_basis[:identities], model.expression_basis]).flatten(1)
    light = parameters.light.coefficients
    faces = model.topology.faces
    albedo, patches = model.diffuse_albedo(parameters.diffuse), patch_weights(model)
    return _Scene(
        model=model,
        crops=crops,
        views=photo_views(crops, light),
        appearance=Appearance(light, parameters.diffuse, albedo, prior, patches, settings.patch_std),
        surface=MovedSurface(faces, rings(faces, len(model.mean)), basis.mT.contiguous()),
        identities=identities,
        trust=PhotoTrust(settings.pixels, settings.believed),
    )


def _linearize_photos(
    scene: _Scene, parameters: HeadParameters, system: ArrowSystem
) -> tuple[list[Photo], ArrowSystem, Float[Tensor, " B"]]:
    """Samples and photo energy of each photo, and the landmarks' normal equations with the photos' added."""
    photos: list[Photo] = []
    camera, costs = _camera_vertices(scene, parameters), []
    parts = {name: getattr(system, name).clone() for name in system.__dataclass_fields__}
    k, faces = scene.identities, scene.model.topology.faces
    for row, points in enumerate(surface_samples(scene.model, scene.crops, scene.appearance, parameters)):
        found = difference(scene.views[row], points, camera[row], faces)
        free = freedom(scene.model, scene.appearance, row, points, found.normal, found.residual, scene.trust)
        photos.append((points, free))
        costs.append(free.cost(found.residual))
        pose = parameters.pose
        jacobian = shape_jacobian(
            found, points, camera[row], scene.surface, pose.rotation[row], pose.translation[row]
        )
        curvature, descent = free.normal_equations(jacobian, found.residual)
        own = torch.cat([torch.arange(6), torch.arange(6 + k, len(descent))]).to(descent.device)
        parts["own"][row] += curvature[own][:, own]
        parts["cross"][row, :, :k] += curvature[own, 6 : 6 + k]
        parts["shared"][row, :k, :k] += curvature[6 : 6 + k, 6 : 6 + k]
        parts["own_descent"][row] += descent[own]
        parts["shared_descent"][row, :k] += descent[6 : 6 + k]
    return photos, ArrowSystem(**parts), torch.stack(costs)


def _photo_costs(scene: _Scene, parameters: HeadParameters, photos: list[Photo]) -> Float[Tensor, " B"]:
    camera, faces = _camera_vertices(scene, parameters), scene.model.topology.faces
    found = [
        difference(scene.views[row], points, camera[row], faces) for row, (points, _) in enumerate(photos)
    ]
    return torch.stack([free.cost(each.residual) for (_, free), each in zip(photos, found, strict=True)])


def _camera_vertices(scene: _Scene, parameters: HeadParameters) -> Float[Tensor, "B V 3"]:
    vertices = scene.model.vertices(parameters.identity, parameters.expression)
    return parameters.pose.camera_from_head(vertices)
