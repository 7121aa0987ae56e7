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

# Pixels of a lone image that one thread takes at a time.
PIECE = 1 << 14
# Coefficients to the polynomial in the normal that the kernels evaluate: 3 zz - 1 is split.
FOLD = np.diag(np.array(SH_CONSTANTS) * [1, 1, 1, 1, 1, 1, 3, 1, 1])
FOLD[0, 6] = -SH_CONSTANTS[6]


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
    shininess: float | int | Float[Tensor, " B"] | Float[Tensor, "B *N 1"],
) -> Float[Tensor, "B *N 3"]:
    """Blinn-Phong highlight of a point light, seen from the origin of the camera frame.

    **Source:** Blinn 1977, ``k_s (n . h)^s`` with h half-way between light and viewer; 0 where the light is
    below the surface.

    Args:
        specular: specular intensity in [0, 1].
        normals: camera frame.
        points: surface points, mm, camera frame.
        light: camera frame.
        shininess: the exponent s, of all images, one an image, or one a point; differentiable.
    """
    normal = unit(normals)
    to_light = unit(_per_image(light.position, points) - points)
    half = unit(to_light - unit(points))
    lit = ((normal * to_light).sum(-1, keepdim=True) > 0).to(points.dtype)
    if isinstance(shininess, Tensor) and shininess.ndim == 1:
        shininess = shininess.reshape(-1, *([1] * (points.ndim - 1)))
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

        # Kept as the kernels want them: halves of one buffer are not copied again on the way back.
        albedo, normals = (values.detach().contiguous() for values in (albedo, normals))
        ctx.save_for_backward(albedo, normals, coefficients)
        out = torch.empty_like(albedo)
        light = light_polynomial(coefficients)
        pieces = _pieces(albedo, normals, out)
        run_tasks(shading_kernels.shade, [(a, n, light[image], o) for image, a, n, o in pieces])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Any) -> Any:
        from facewright.render import shading_kernels

        albedo, normals, coefficients = ctx.saved_tensors
        results = torch.empty_like(albedo), torch.empty_like(normals)
        light = light_polynomial(coefficients)
        pieces = _pieces(albedo, normals, grad.contiguous(), *results)
        sums = np.zeros((len(pieces), 9, 3))
        tasks = [(a, n, light[i], *rest, part) for (i, a, n, *rest), part in zip(pieces, sums, strict=True)]
        run_tasks(shading_kernels.shade_backward, tasks)
        total = sums.reshape(len(albedo), -1, 9, 3).sum(1)
        return *results, torch.from_numpy(np.swapaxes(FOLD, 0, 1) @ total).to(coefficients.dtype)


def _pieces(*images: Tensor) -> list[tuple[Any, ...]]:
    """Number of the image and runs of its pixels, the same ones for any number of threads."""
    rows = [image.numpy().reshape(image.shape[0], -1, 3) for image in images]
    batch, pixels = rows[0].shape[:2]
    step = PIECE if batch == 1 else pixels
    return [
        (image, *(each[image, first : first + step] for each in rows))
        for image in range(batch)
        for first in range(0, pixels, step)
    ]


def light_polynomial(coefficients: Float[Tensor, "B 9 3"]) -> Float[np.ndarray, "B 9 3"]:
    """Light as the kernels evaluate it: rows 1, y, z, x, xy, yz, zz, xz, xx - yy of the unit normal."""
    return FOLD @ coefficients.detach().double().numpy()
