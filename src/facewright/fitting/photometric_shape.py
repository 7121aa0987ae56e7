"""Shape and pose of one person from shading, held by the landmarks and the priors.

The energy is the quadratic model of the landmark fit around its solution, priors included, plus the
rendered face's difference from the photo. The unknowns are whitened by the landmark fit's curvature: what
landmarks have settled hardly moves, what they leave open can follow the shading. Light and albedo are fixed
here.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from facewright.fitting.multi_image import ArrowSystem
from facewright.geometry.normals import vertex_normals
from facewright.geometry.rotation import rotation_from_axis_angle
from facewright.models.face_model import FaceModel
from facewright.render.interpolate import interpolate
from facewright.render.rasterize import rasterize
from facewright.render.shading import shade_diffuse
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.parameters import HeadParameters
from facewright.scene.pose import Pose

POSE = 6


@dataclass(frozen=True)
class ShadedPhotos:
    """What one person's shape is compared with, one row a photo.

    Attributes:
        images: linear RGB crops.
        weight: trust in each pixel, fixed; sums to 1 over a photo.
        camera: of the crops.
        mask: of the vertices that take part (skin of the face).
    """

    images: Float[Tensor, "B S S 3"]
    weight: Float[Tensor, "B S S"]
    camera: PerspectiveCamera
    mask: Float[Tensor, " V"]


def refine_shape(
    model: FaceModel,
    photos: ShadedPhotos,
    parameters: HeadParameters,
    system: ArrowSystem,
    strength: tuple[float, float, int],
) -> tuple[HeadParameters, float, float]:
    """Move identity, expression and pose of one person towards the shading.

    Args:
        model: face model.
        photos: of one person.
        parameters: of the landmark fit, with albedo and light; identity alike in all rows.
        system: landmark energy of each photo around them, priors of own unknowns included.
        strength: identity prior; precision (what a photo's mean squared error is multiplied by); iterations.

    Returns:
        Parameters, and the energy before and after. The parameters are the old ones if nothing got better.
    """
    identity_strength, precision, iterations = strength
    curvature, descent = _dense(system, identity_strength)
    lower = torch.linalg.cholesky(curvature)
    albedo = model.diffuse_albedo(parameters.diffuse)

    def energy(step: Tensor) -> Tensor:
        moved = apply_step(parameters, step, len(system.own))
        error = _photo_error(model, photos, moved, albedo)
        return 0.5 * step @ curvature @ step - descent @ step + 0.5 * precision * error

    white = torch.zeros(len(descent), device=descent.device, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [white],
        max_iter=iterations,
        max_eval=2 * iterations,
        history_size=iterations,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = energy(torch.linalg.solve_triangular(lower.mT, white[:, None], upper=True)[:, 0])
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(closure)
    with torch.no_grad():
        step = torch.linalg.solve_triangular(lower.mT, white[:, None], upper=True)[:, 0]
        before, after = float(energy(torch.zeros_like(step))), float(energy(step))
        if not after < before:
            return parameters, before, before
        return apply_step(parameters, step, len(system.own)), before, after


def apply_step(parameters: HeadParameters, step: Float[Tensor, " D"], photos: int) -> HeadParameters:
    """Parameters after a step: own unknowns (pose, expression) photo by photo, then identity."""
    expressions = parameters.expression.shape[1]
    own = step[: photos * (POSE + expressions)].view(photos, -1)
    shared = step[photos * (POSE + expressions) :]
    pose = Pose(
        rotation_from_axis_angle(own[:, :3]) @ parameters.pose.rotation,
        parameters.pose.translation + own[:, 3:POSE],
    )
    return replace(
        parameters,
        identity=parameters.identity + pad(shared, (0, parameters.identity.shape[1] - len(shared))),
        expression=(parameters.expression + own[:, POSE:]).clamp(0, 1),
        pose=pose,
    )


def _dense(system: ArrowSystem, strength: float) -> tuple[Tensor, Tensor]:
    """The block arrow of one person's photos as one matrix, and the negative gradient."""
    photos, own, shared = system.cross.shape
    size = photos * own
    matrix = system.own.new_zeros(size + shared, size + shared)
    for row in range(photos):
        part = slice(row * own, (row + 1) * own)
        matrix[part, part] = system.own[row]
        matrix[part, size:] = system.cross[row]
        matrix[size:, part] = system.cross[row].mT
    matrix[size:, size:] = system.shared.sum(0) + strength * torch.eye(shared, device=matrix.device)
    matrix.diagonal().mul_(1 + 1e-4)
    # The landmark fit has converged: what is left of its gradient belongs to expressions at their bounds.
    return matrix, matrix.new_zeros(len(matrix))


def _photo_error(
    model: FaceModel, photos: ShadedPhotos, parameters: HeadParameters, albedo: Tensor
) -> Tensor:
    """Weighted mean squared difference, summed over the photos; square roots so that shadows count too."""
    faces = model.topology.faces
    vertices = parameters.pose.camera_from_head(model.vertices(parameters.identity, parameters.expression))
    fragments = rasterize(
        photos.camera.project(vertices), faces, photos.camera.size, perspective=True, cull_back_faces=True
    )
    normals = interpolate(fragments, faces, vertex_normals(vertices, faces))
    surface = interpolate(
        fragments, faces, torch.cat([albedo, photos.mask.expand(len(albedo), -1)[..., None]], -1)
    )
    drawn = shade_diffuse(surface[..., :3], normals, parameters.light)
    difference = _encode(drawn) - _encode(photos.images)
    weight = photos.weight * (surface[..., 3] > 0.99)
    return (weight[..., None] * difference**2).sum()


def _encode(linear: Tensor) -> Tensor:
    return torch.sqrt(linear.clamp_min(0) + 0.01)
