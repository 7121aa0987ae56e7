"""Diffuse albedo and light of a face whose shape is known: alternating linear least squares.

A pixel is ``albedo(a) * (Y(n) @ light)``: linear in the light for given albedo, and in the albedo
coefficients for given light. What a photo cannot tell is settled by priors: albedo is that of people (unit
Gaussian), light is nearly white, mostly from all around, and as bright as a well exposed photo makes it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.scene.lighting import SH_CONSTANTS, sh_basis

ROUNDS = 6
STUDENT_FREEDOM = 4.0
# Below this (linear) a pixel's error counts absolutely, above it relatively.
DARK = 0.05
BANDS = (0, 1, 1, 1, 2, 2, 2, 2, 2)


@dataclass(frozen=True)
class LightPrior:
    """What is known of the light in photos of faces; the unit is the brightness of a white matt surface.

    Attributes:
        level: mean brightness.
        level_std: its standard deviation.
        band_std: standard deviation of the coefficients of each spherical harmonics band, the first unused.
        color_std: standard deviation of the channels' differences from their mean, for each band.
    """

    level: float = 0.85
    level_std: float = 0.25
    band_std: tuple[float, float, float] = (1.0, 0.45, 0.15)
    color_std: tuple[float, float, float] = (0.10, 0.04, 0.02)


@dataclass(frozen=True)
class PixelSamples:
    """Pixels of one photo that show skin; C = 3 channels, or 1 (luminance) for a grey photo.

    Attributes:
        color: linear.
        weight: trust in each.
        normals: unit, camera frame.
        albedo: mean albedo at the pixel.
        albedo_basis: its change per coefficient.
    """

    color: Float[Tensor, "P C"]
    weight: Float[Tensor, " P"]
    normals: Float[Tensor, "P 3"]
    albedo: Float[Tensor, "P C"]
    albedo_basis: Float[Tensor, "K P C"]


def solve_appearance(
    samples: list[PixelSamples],
    person: Int64[Tensor, " B"],
    prior: LightPrior,
    precision: float,
) -> tuple[Float[Tensor, "B K"], Float[Tensor, "B 9 3"]]:
    """Albedo coefficients of each person (repeated for each photo), and light of each photo.

    Args:
        samples: of each photo.
        person: which person each photo shows, 0 to P - 1.
        prior: of the light.
        precision: how many independent pixels of 100 % relative error a photo is worth.
    """
    persons = int(person.max()) + 1
    count = samples[0].albedo_basis.shape[0]
    albedo = samples[0].color.new_zeros(persons, count)
    robust = [torch.ones_like(sample.weight) for sample in samples]
    lights: list[Tensor] = []
    for _ in range(ROUNDS):
        lights, systems = [], []
        for row, sample in enumerate(samples):
            trust = _trust(sample, robust[row], precision)
            light = _solve_light(sample, albedo[person[row]], trust, prior)
            systems.append(_albedo_system(sample, light, trust))
            lights.append(light)
        for index in range(persons):
            own = [systems[row] for row in (person == index).nonzero()[:, 0].tolist()]
            matrix = torch.stack([system[0] for system in own]).sum(0)
            right = torch.stack([system[1] for system in own]).sum(0)
            matrix.diagonal().add_(1.0)  # the unit Gaussian prior
            albedo[index] = torch.linalg.solve(matrix, right).to(albedo.dtype)
        for row, sample in enumerate(samples):
            robust[row] = _student(sample, albedo[person[row]], lights[row])
    full = torch.stack([light.expand(-1, 3) for light in lights])
    return albedo[person], full


def predicted(
    sample: PixelSamples, albedo: Float[Tensor, " K"], light: Float[Tensor, "9 C"]
) -> Float[Tensor, "P C"]:
    """Colour that albedo and light give the pixels."""
    reflectance = (sample.albedo + torch.tensordot(albedo, sample.albedo_basis, 1)).clamp_min(0.005)
    return reflectance * (sh_basis(sample.normals) @ light).clamp_min(0)


def _trust(sample: PixelSamples, robust: Tensor, precision: float) -> Float[Tensor, "P C"]:
    """Weights of the residuals: relative errors, summing up to the given precision."""
    weight = sample.weight * robust
    share = weight / weight.sum().clamp_min(1e-9) * precision / sample.color.shape[1]
    brightness = sample.color.mean(1)
    return (share / (brightness + DARK) ** 2)[:, None].expand_as(sample.color)


def _student(sample: PixelSamples, albedo: Tensor, light: Tensor) -> Tensor:
    """Weights by residual: hair, glasses, highlights and cast shadows count little."""
    residual = (predicted(sample, albedo, light) - sample.color) / (sample.color.mean(1, keepdim=True) + DARK)
    squared = (residual**2).mean(1)
    scale = squared.median().clamp_min(0.03**2)
    return ((STUDENT_FREEDOM + 1) / (STUDENT_FREEDOM + squared / scale)).clamp(max=1.0)


def _solve_light(
    sample: PixelSamples, albedo: Tensor, trust: Tensor, prior: LightPrior
) -> Float[Tensor, "9 C"]:
    reflectance = (sample.albedo + torch.tensordot(albedo, sample.albedo_basis, 1)).clamp_min(0.005)
    rows = sh_basis(sample.normals)
    channels = sample.color.shape[1]
    matrix = torch.zeros(channels, 9, channels, 9, dtype=torch.float64, device=rows.device)
    right = torch.zeros(channels, 9, dtype=torch.float64, device=rows.device)
    for channel in range(channels):
        weighted = rows * (trust[:, channel] * reflectance[:, channel] ** 2)[:, None]
        matrix[channel, :, channel] = (weighted.mT @ rows).double()
        pull = trust[:, channel] * reflectance[:, channel] * sample.color[:, channel]
        right[channel] = (rows.mT @ pull).double()
    bands = torch.tensor(BANDS, device=rows.device)
    color = 1 / torch.tensor(prior.color_std, device=rows.device).double()[bands] ** 2
    shape = 1 / torch.tensor(prior.band_std, device=rows.device).double()[bands] ** 2
    shape[0] = 1 / (prior.level_std / SH_CONSTANTS[0]) ** 2
    mean = torch.full((channels, channels), 1 / channels, dtype=torch.float64, device=rows.device)
    spread = torch.eye(channels, dtype=torch.float64, device=rows.device) - mean
    matrix += torch.einsum("ab,k,kl->akbl", spread, color, torch.eye(9, device=rows.device).double())
    matrix += torch.einsum("ab,k,kl->akbl", mean / channels, shape, torch.eye(9, device=rows.device).double())
    right[:, 0] += shape[0] * prior.level / SH_CONSTANTS[0] / channels
    solved = torch.linalg.solve(matrix.reshape(9 * channels, -1), right.reshape(-1))
    return solved.reshape(channels, 9).mT.to(rows.dtype)


def _albedo_system(sample: PixelSamples, light: Tensor, trust: Tensor) -> tuple[Tensor, Tensor]:
    shading = (sh_basis(sample.normals) @ light).clamp_min(0)
    rows = (sample.albedo_basis * shading).flatten(1)
    target = (sample.color - sample.albedo * shading).flatten()
    weighted = rows * trust.flatten()
    return (weighted @ rows.mT).double(), (weighted @ target).double()
