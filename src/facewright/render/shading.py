"""From albedo, normals and light to colour, all in linear RGB and the camera frame."""

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.scene.lighting import PointLight, SphericalHarmonicsLight


def shade_diffuse(
    albedo: Float[Tensor, "B *N 3"], normals: Float[Tensor, "B *N 3"], light: SphericalHarmonicsLight
) -> Float[Tensor, "B *N 3"]:
    """Lambertian colour under spherical-harmonics light.

    Args:
        albedo: linear RGB; 0 at empty pixels keeps them 0.
        normals: camera frame; scaled to unit length here, as interpolation shortens them.
        light: camera frame.
    """
    return albedo * light.shading(unit(normals))


def shade_point_diffuse(
    albedo: Float[Tensor, "B *N 3"],
    normals: Float[Tensor, "B *N 3"],
    points: Float[Tensor, "B *N 3"],
    light: PointLight,
) -> Float[Tensor, "B *N 3"]:
    """Lambertian colour under a point light, no shadows.

    Args:
        albedo: linear RGB.
        normals: camera frame.
        points: surface points, mm, camera frame.
        light: camera frame.
    """
    cosine = (unit(normals) * unit(_per_image(light.position, points) - points)).sum(-1, keepdim=True)
    return albedo * cosine.clamp_min(0) * _per_image(light.intensity, points)


def shade_specular(
    specular: Float[Tensor, "B *N 1"],
    normals: Float[Tensor, "B *N 3"],
    points: Float[Tensor, "B *N 3"],
    light: PointLight,
    shininess: float,
) -> Float[Tensor, "B *N 3"]:
    """Blinn-Phong highlight of a point light, seen from the origin of the camera frame.

    **Source:** Blinn 1977, ``k_s (n . h)^s`` with h half-way between light and viewer; 0 where the light is
    below the surface.

    Args:
        specular: specular intensity in [0, 1].
        normals: camera frame.
        points: surface points, mm, camera frame.
        light: camera frame.
        shininess: the exponent s.
    """
    normal = unit(normals)
    to_light = unit(_per_image(light.position, points) - points)
    half = unit(to_light - unit(points))
    lit = ((normal * to_light).sum(-1, keepdim=True) > 0).to(points.dtype)
    lobe = (normal * half).sum(-1, keepdim=True).clamp_min(1e-6) ** shininess
    return specular * lit * lobe * _per_image(light.intensity, points)


def unit(vectors: Float[Tensor, "*N 3"]) -> Float[Tensor, "*N 3"]:
    """Vectors scaled to length 1; (nearly) zero vectors stay, with a finite gradient."""
    return vectors / vectors.square().sum(-1, keepdim=True).clamp_min(1e-12).sqrt()


def _per_image(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *([1] * (like.ndim - 2)), 3).to(torch.promote_types(values.dtype, like.dtype))
