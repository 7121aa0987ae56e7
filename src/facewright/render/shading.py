"""From albedo, normals and light to colour, all in linear RGB and the camera frame."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from facewright.core.errors import InputError
from facewright.core.threads import run_tasks
from facewright.scene.lighting import SH_CONSTANTS, PointLight, SphericalHarmonicsLight


def shade_diffuse(
    albedo: Float[Tensor, "B *N 3"], normals: Float[Tensor, "B *N 3"], light: SphericalHarmonicsLight
) -> Float[Tensor, "B *N 3"]:
    """Lambertian colour under spherical-harmonics light.

    Args:
        albedo: linear RGB.
        normals: camera frame; scaled to unit length here, as interpolation shortens them. Where a normal is
            zero (an empty pixel) the colour is 0 and so are all gradients.
        light: camera frame, per image, or one for the batch.

    Raises:
        InputError: albedo and normals differ in shape, or the light has neither 1 row nor as many as the
            batch.
    """
    if albedo.shape != normals.shape:
        raise InputError(
            f"albedo and normals must have one shape, got {tuple(albedo.shape)} and {tuple(normals.shape)}."
        )
    coefficients = light.coefficients.to(albedo.dtype)
    if coefficients.shape[0] not in (1, albedo.shape[0]):
        raise InputError(f"the light needs 1 or {albedo.shape[0]} rows (the batch), got {len(coefficients)}.")
    if albedo.device.type == "cpu" and albedo.numel() > 0:
        result: Any = _ShadeDiffuse.apply(albedo, normals, coefficients.expand(len(albedo), -1, -1))
        return result
    return plain_shade_diffuse(albedo, normals, light)


def plain_shade_diffuse(
    albedo: Float[Tensor, "B *N 3"], normals: Float[Tensor, "B *N 3"], light: SphericalHarmonicsLight
) -> Float[Tensor, "B *N 3"]:
    """``shade_diffuse`` in plain torch: the specification of its kernels, and what other devices run."""
    filled = (normals != 0).any(-1, keepdim=True)
    return torch.where(filled, albedo * light.shading(unit(normals)), 0.0)


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
    shininess: float | int,
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


class _ShadeDiffuse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, albedo: Tensor, normals: Tensor, coefficients: Tensor) -> Tensor:
        from facewright.render import shading_kernels

        ctx.save_for_backward(albedo, normals, coefficients)
        out = torch.empty_like(albedo, memory_format=torch.contiguous_format)
        arrays = [_rows(albedo), _rows(normals), _weighted(coefficients), _rows(out)]
        run_tasks(shading_kernels.shade, list(zip(*arrays, strict=True)))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Any) -> Any:
        from facewright.render import shading_kernels

        albedo, normals, coefficients = ctx.saved_tensors
        results = [torch.empty_like(t, memory_format=torch.contiguous_format) for t in (albedo, normals)]
        light = np.zeros(coefficients.shape)
        inputs = [_rows(albedo), _rows(normals), _weighted(coefficients), _rows(grad)]
        arrays = [*inputs, *(_rows(t) for t in results), light]
        run_tasks(shading_kernels.shade_backward, list(zip(*arrays, strict=True)))
        weighted = torch.from_numpy(light * np.array(SH_CONSTANTS)[:, None]).to(coefficients.dtype)
        return *results, weighted


def _rows(values: Tensor) -> np.ndarray:
    return values.detach().contiguous().numpy().reshape(values.shape[0], -1, 3)


def _weighted(coefficients: Tensor) -> np.ndarray:
    return coefficients.detach().double().numpy() * np.array(SH_CONSTANTS)[:, None]
