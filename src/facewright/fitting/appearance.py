"""Diffuse albedo and light of a face whose shape is known: robust Gauss-Newton on a bilinear model.

A pixel is ``albedo(a) * (Y(n) @ light)``: linear in the light for given albedo, and in the albedo
coefficients for given light. What a photo cannot tell is settled by priors: albedo is that of people (unit
Gaussian), light is nearly white, mostly from all around, and as bright as a well exposed photo makes it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.scene.lighting import SH_CONSTANTS, sh_basis

# Strength of the albedo prior in each round: first the light, while hair and shadows lose their weight.
ROUNDS = (1.0e4, 1.0e4, 10.0, 1.0, 1.0, 1.0)
# A pixel whose error is more than this many median errors is no skin: hair, glasses, a cast shadow.
CUT = 4.0
# Errors are relative to the face's median brightness; this much (linear) is added for very dark photos.
DARK = 0.02
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
    count, channels = samples[0].albedo_basis.shape[0], [sample.color.shape[1] for sample in samples]
    albedo = samples[0].color.new_zeros(int(person.max()) + 1, count)
    robust = [torch.ones_like(sample.weight) for sample in samples]
    lights = [_first_light(sample, prior) for sample in samples]
    for strength in ROUNDS:
        for index in range(len(albedo)):
            rows = (person == index).nonzero()[:, 0].tolist()
            systems = [
                _system(samples[r], albedo[index], lights[r], robust[r], prior, precision) for r in rows
            ]
            step, light_steps = _solve_person(albedo[index], systems, strength)
            albedo[index] += step
            for row, light_step in zip(rows, light_steps, strict=True):
                lights[row] = lights[row] + light_step.view(channels[row], 9).mT
        for row, sample in enumerate(samples):
            robust[row] = _robust(sample, albedo[person[row]], lights[row])
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
    return (share / (sample.color.median() + DARK) ** 2)[:, None].expand_as(sample.color)


def _robust(sample: PixelSamples, albedo: Tensor, light: Tensor) -> Tensor:
    """Weights by residual: hair, glasses, highlights and cast shadows do not count (Tukey)."""
    residual = (predicted(sample, albedo, light) - sample.color) / (sample.color.median() + DARK)
    squared = (residual**2).mean(1)
    scale = squared.median().clamp_min(0.03**2)
    return (1 - squared / (CUT**2 * scale)).clamp_min(0) ** 2


def _first_light(sample: PixelSamples, prior: LightPrior) -> Float[Tensor, "9 C"]:
    """The prior's mean: white, from all around."""
    light = sample.color.new_zeros(9, sample.color.shape[1])
    light[0] = prior.level / SH_CONSTANTS[0]
    return light


def _system(
    sample: PixelSamples, albedo: Tensor, light: Tensor, robust: Tensor, prior: LightPrior, precision: float
) -> tuple[Tensor, Tensor]:
    """Normal equations of one photo: albedo, then light channel by channel, with the light's prior."""
    trust = _trust(sample, robust, precision)
    basis = sh_basis(sample.normals)
    shading = (basis @ light).clamp_min(0)
    reflectance = (sample.albedo + torch.tensordot(albedo, sample.albedo_basis, 1)).clamp_min(0.005)
    count, _, channels = sample.albedo_basis.shape
    size = count + 9 * channels
    jacobian = sample.color.new_zeros(size, *sample.color.shape)
    jacobian[:count] = sample.albedo_basis * shading
    for channel in range(channels):
        first = count + 9 * channel
        jacobian[first : first + 9, :, channel] = (basis * reflectance[:, channel, None]).mT
    rows, weight = jacobian.flatten(1), trust.flatten()
    residual = (sample.color - reflectance * shading).flatten()
    matrix = ((rows * weight) @ rows.mT).double()
    right = (rows @ (weight * residual)).double()
    curvature, centre = _light_prior(channels, prior, light)
    matrix[count:, count:] += curvature
    right[count:] -= curvature @ (light.mT.flatten().double() - centre)
    return matrix, right


def _light_prior(channels: int, prior: LightPrior, like: Tensor) -> tuple[Tensor, Tensor]:
    """Curvature and centre of the light's Gaussian prior, channel by channel."""
    options = {"dtype": torch.float64, "device": like.device}
    bands = torch.tensor(BANDS, device=like.device)
    color = 1 / torch.tensor(prior.color_std, **options)[bands] ** 2
    common = 1 / torch.tensor(prior.band_std, **options)[bands] ** 2
    common[0] = (SH_CONSTANTS[0] / prior.level_std) ** 2
    mean = torch.full((channels, channels), 1 / channels, **options)
    spread = torch.eye(channels, **options) - mean
    curvature = torch.kron(spread, torch.diag(color)) + torch.kron(mean / channels, torch.diag(common))
    centre = torch.zeros(channels, 9, **options)
    centre[:, 0] = prior.level / SH_CONSTANTS[0]
    return curvature, centre.flatten()


def _solve_person(
    albedo: Tensor, systems: list[tuple[Tensor, Tensor]], strength: float
) -> tuple[Tensor, list[Tensor]]:
    """Joint step of a person's albedo and the light of each photo.

    Solving for them in turn would creep along the valley of darker faces under brighter light.
    """
    count = len(albedo)
    sizes = [len(right) - count for _, right in systems]
    matrix = torch.zeros(count + sum(sizes), count + sum(sizes), dtype=torch.float64, device=albedo.device)
    right = torch.zeros(len(matrix), dtype=torch.float64, device=albedo.device)
    matrix.diagonal()[:count] += strength  # the albedo's Gaussian prior
    right[:count] -= strength * albedo.double()
    start = count
    for (part, part_right), size in zip(systems, sizes, strict=True):
        own = slice(start, start + size)
        matrix[:count, :count] += part[:count, :count]
        matrix[own, own] = part[count:, count:]
        matrix[:count, own], matrix[own, :count] = part[:count, count:], part[count:, :count]
        right[:count] += part_right[:count]
        right[own] = part_right[count:]
        start += size
    step = torch.linalg.solve(matrix, right).to(albedo.dtype)
    return step[:count], list(step[count:].split(sizes))
