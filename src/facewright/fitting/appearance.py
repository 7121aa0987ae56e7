"""Diffuse albedo and light of a face whose shape is known: robust Gauss-Newton on a bilinear model.

A pixel is ``albedo(a) * (Y(n) @ light)``: linear in the light for given albedo, and in the albedo
coefficients for given light. What a photo cannot tell is settled by priors: albedo is that of people (unit
Gaussian), light is nearly white, mostly from all around, and as bright as a well exposed photo makes it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.scene.lighting import SH_CONSTANTS, SphericalHarmonicsLight, sh_basis

# Values of the first albedo coefficient (from dark to light skin) to start from. Dark skin in bright light
# looks like light skin in dim light, and the way between them is long and bent: the start decides.
TONES = (-2.5, -1.75, -1.0, -0.5, 0.0, 0.5, 1.0)
LIGHT_ROUNDS = 3  # of the light alone for each tone, while hair and shadows lose their weight
# Strength of the albedo prior in each joint round.
ROUNDS = (10.0, 1.0, 1.0, 1.0)
# Relative error of a photo that diffuse light explains. A photo with larger errors (glossy skin, cast
# shadows) tells less, and the priors more.
TYPICAL = 0.15
# Squared relative error from which a pixel tells nothing about the tone to start from.
LARGEST = 0.25
# A pixel whose error is more than this many median errors is no skin: hair, glasses, a cast shadow.
CUT = 4.0
# Errors are relative to the face's median brightness; this much (linear) is added for very dark photos.
DARK = 0.02
LEAST_LEVEL = 0.1  # of the prior's level, to which contrast is still related
BANDS = (0, 1, 1, 1, 2, 2, 2, 2, 2)


@dataclass(frozen=True)
class LightPrior:
    """What is known of the light in photos of faces; the unit is the brightness of a white matt surface.

    Attributes:
        level: mean brightness.
        level_std: its standard deviation.
        band_std: standard deviation of the coefficients of each spherical harmonics band under light of the
            mean level, the first unused.
        color_std: standard deviation of the channels' differences from their mean, for each band, likewise.
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
    lights = [_first_light(sample, prior) for sample in samples]
    for index in range(len(albedo)):
        rows = (person == index).nonzero()[:, 0].tolist()
        albedo[index], started = _start([samples[row] for row in rows], prior, precision)
        for row, light in zip(rows, started, strict=True):
            lights[row] = light
    robust = [_robust(sample, albedo[person[row]], lights[row]) for row, sample in enumerate(samples)]
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


def _start(
    samples: list[PixelSamples], prior: LightPrior, precision: float
) -> tuple[Float[Tensor, " K"], list[Float[Tensor, "9 C"]]]:
    """The most probable of a few skin tones of one person, and the light of each photo under it."""
    albedos, lights = [], []
    cost = samples[0].color.new_tensor(TONES).square()
    for tone in TONES:
        albedos.append(samples[0].color.new_zeros(samples[0].albedo_basis.shape[0]))
        albedos[-1][:1] = tone
        lights.append([_light_alone(sample, albedos[-1], prior, precision) for sample in samples])
    for row, sample in enumerate(samples):
        own = [light[row] for light in lights]
        errors = torch.stack([_relative_error(sample, *pair) for pair in zip(albedos, own, strict=True)])
        # How far the photo is believed must not depend on the tone, or bad fits would look cheap.
        believed = (TYPICAL**2 / errors.median(1).values.min()).clamp(max=1)
        data = (errors.clamp(max=LARGEST) * sample.weight).sum(1) / sample.weight.sum().clamp_min(1e-9)
        cost = cost + believed * precision * data
        cost = cost + torch.stack([_light_cost(light, prior) for light in own]).to(cost)
    best = int(cost.argmin())
    return albedos[best], lights[best]


def _light_alone(
    sample: PixelSamples, albedo: Tensor, prior: LightPrior, precision: float
) -> Float[Tensor, "9 C"]:
    """The light of a photo whose albedo is known."""
    light, robust, count = _first_light(sample, prior), torch.ones_like(sample.weight), len(albedo)
    for _ in range(LIGHT_ROUNDS):
        matrix, right = _system(sample, albedo, light, robust, prior, precision)
        step = torch.linalg.solve(matrix[count:, count:], right[count:]).to(light.dtype)
        light = light + step.view(light.shape[1], 9).mT
        robust = _robust(sample, albedo, light)
    return light


def _light_cost(light: Float[Tensor, "9 C"], prior: LightPrior) -> Float[Tensor, ""]:
    """Twice the negative log prior of a light, without constants."""
    curvature, centre = _light_prior(light.shape[1], prior, light)
    offset = light.mT.flatten().double() - centre
    return offset @ curvature @ offset


def predicted(
    sample: PixelSamples, albedo: Float[Tensor, " K"], light: Float[Tensor, "9 C"]
) -> Float[Tensor, "P C"]:
    """Colour that albedo and light give the pixels."""
    reflectance = (sample.albedo + torch.tensordot(albedo, sample.albedo_basis, 1)).clamp_min(0.005)
    return reflectance * _shading(sample, light)


def _shading(sample: PixelSamples, light: Float[Tensor, "9 C"]) -> Float[Tensor, "P C"]:
    """What ``shade_diffuse`` would multiply the albedo by, for one channel (a grey photo) or three."""
    full = SphericalHarmonicsLight(light.expand(-1, 3)[None])
    return full.shading(sample.normals[None])[0, :, : light.shape[1]]


def _trust(sample: PixelSamples, robust: Tensor, precision: float) -> Float[Tensor, "P C"]:
    """Weights of the residuals: relative errors, summing up to the given precision if all are robust."""
    weight = sample.weight * robust
    share = weight / sample.weight.sum().clamp_min(1e-9) * precision / sample.color.shape[1]
    return (share / (sample.color.median() + DARK) ** 2)[:, None].expand_as(sample.color)


def _robust(sample: PixelSamples, albedo: Tensor, light: Tensor) -> Tensor:
    """Weights by residual: hair, glasses, highlights and cast shadows do not count (Tukey)."""
    squared = _relative_error(sample, albedo, light)
    scale = squared.median().clamp_min(0.03**2)
    believed = (TYPICAL**2 / scale).clamp(max=1)
    return believed * (1 - squared / (CUT**2 * scale)).clamp_min(0) ** 2


def _relative_error(sample: PixelSamples, albedo: Tensor, light: Tensor) -> Float[Tensor, " P"]:
    """Squared error of each pixel relative to the brightness of the face."""
    residual = (predicted(sample, albedo, light) - sample.color) / (sample.color.median() + DARK)
    return (residual**2).mean(1)


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
    shading = _shading(sample, light)
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
    # Contrast is what is known: dim light is not softer than bright light.
    level = float(like[0].mean()) * SH_CONSTANTS[0] / prior.level
    relative = min(max(level, LEAST_LEVEL), 1 / LEAST_LEVEL)
    color = 1 / (relative * torch.tensor(prior.color_std, **options)[bands]) ** 2
    common = 1 / (relative * torch.tensor(prior.band_std, **options)[bands]) ** 2
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
