"""Terms on synthetic photos, whose truth is known. The paper has none of them: its photos have no truth."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.fitting.face_probe import FaceProbe, ibug68
from facewright.methods.specular.losses import length
from facewright.methods.specular.scores import has_lamp
from facewright.methods.specular.settings import SupervisionWeights
from facewright.render.shading import unit
from facewright.scene.lighting import PointLight, sh_basis
from facewright.scene.parameters import HeadParameters

LEAST_ALBEDO = 1e-3
WITHOUT_TRUTH = 1e-4  # intensity below which a lamp has no direction


@dataclass(frozen=True)
class Truth:
    """What is known of synthetic photos.

    Attributes:
        head: as the crop's camera sees it; soft and point light as bright as the photo shows them.
        landmarks: exact places of the 478 points, pixels of the crop.
    """

    head: HeadParameters
    landmarks: Float[Tensor, "B 478 2"]


def supervised_losses(
    at: HeadParameters,
    points: Float[Tensor, "B 478 2"],
    truth: Truth,
    probe: FaceProbe,
    weights: SupervisionWeights,
    rows: Float[Tensor, " B"],
) -> dict[str, Float[Tensor, ""]]:
    """The weighted terms by name.

    Args:
        at: heads as found.
        points: its 478 landmarks, pixels of the crop.
        truth: of each photo; anything where there is none.
        probe: of the model.
        weights: of the terms.
        rows: share of each photo in the means; 0 where there is no truth.
    """
    true, size = truth.head, at.camera.size[0]
    found = {
        "shape": lambda: length(_shape_error(probe, at.identity, true.identity)).mean(1),
        "expression": lambda: length(probe.by_expression(at.expression - true.expression)).mean(1),
        "activations": lambda: (at.expression - true.expression).abs().mean(1),
        "rotation": lambda: length((at.pose.rotation - true.pose.rotation).flatten(1)) / 8**0.5,
        "landmark": lambda: length(ibug68(points) - ibug68(truth.landmarks)).mean(1) / size,
        "albedo": lambda: length(_root(probe.albedo(at.diffuse)) - _root(probe.albedo(true.diffuse))).mean(1),
        "specular": lambda: (probe.gloss(at.specular) - probe.gloss(true.specular)).abs().mean(1),
        "light": lambda: _light_error(at, true),
        "lamp": lambda: length(_lamp(at) - _lamp(true)) + (_strength(at) - _strength(true)).abs(),
        "shininess": lambda: (at.exponent / true.exponent).log().square() * has_lamp(true),
    }
    used = weights.used()
    return {f"true_{name}": weight * (found[name]() * rows).sum() for name, weight in used.items()}


def _shape_error(probe: FaceProbe, found: Tensor, true: Tensor) -> Tensor:
    """Difference of neutral faces that no shift and no change of size takes away, mm."""
    face, goal = probe.neutral_face(found), probe.neutral_face(true)
    scale = (face * goal).sum((1, 2)) / face.square().sum((1, 2)).clamp_min(1e-6)
    return scale[:, None, None] * face - goal


def _root(albedo: Tensor) -> Tensor:
    """Dark and light skin alike: differences as eyes see them."""
    return albedo.clamp_min(LEAST_ALBEDO).sqrt()


def _light_error(at: HeadParameters, true: HeadParameters) -> Tensor:
    """Mean difference of shading over directions that the camera sees."""
    number = torch.arange(48, dtype=torch.float32, device=at.identity.device) + 0.5
    z, angle = -number / 48, number * 2.399963  # the golden angle
    flat = (1 - z * z).sqrt()
    normals = torch.stack([flat * angle.cos(), flat * angle.sin(), z], dim=-1)
    difference = at.light.coefficients - true.light.coefficients
    return (sh_basis(normals) @ difference).abs().mean((1, 2))


def _lamp(at: HeadParameters) -> Tensor:
    """From the head to the lamp, as long as it is bright."""
    lamp = _point_light(at)
    return unit(lamp.position - at.pose.translation) * lamp.intensity.mean(1, keepdim=True)


def _strength(at: HeadParameters) -> Tensor:
    return _point_light(at).intensity.mean(1)


def _point_light(at: HeadParameters) -> PointLight:
    if at.point_light is not None:
        return at.point_light
    nothing = torch.zeros_like(at.pose.translation)
    return PointLight(nothing, nothing)
