"""Diffuse albedo and light of a face whose shape is known: robust Gauss-Newton on a bilinear model.

A pixel is ``albedo(a) * (Y(n) @ light)``: linear in the light for given albedo, and in the albedo
coefficients for given light. What a photo cannot tell is settled by priors: albedo is that of people (unit
Gaussian), light is nearly white, mostly from all around, and as bright as a well exposed photo makes it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
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
LEAST_ERROR = 0.03  # relative error below which all pixels are believed alike
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
        points: where the surface is, mm, camera frame.
        specular: mean specular intensity at the pixel.
        specular_basis: its change per coefficient.
        clipped: channels that are as bright as the photo can say; the true colour may be brighter.
    """

    color: Float[Tensor, "P C"]
    weight: Float[Tensor, " P"]
    normals: Float[Tensor, "P 3"]
    albedo: Float[Tensor, "P C"]
    albedo_basis: Float[Tensor, "K P C"]
    points: Float[Tensor, "P 3"]
    specular: Float[Tensor, " P"]
    specular_basis: Float[Tensor, "S P"]
    clipped: Bool[Tensor, "P C"]


def solve_appearance(
    samples: list[PixelSamples],
    person: Int64[Tensor, " B"],
    prior: LightPrior,
    precision: float,
    known: tuple[Float[Tensor, "B K"], Float[Tensor, "B 9 3"]] | None = None,
) -> tuple[Float[Tensor, "B K"], Float[Tensor, "B 9 3"]]:
    """Albedo coefficients of each person (repeated for each photo), and light of each photo.

    Args:
        samples: of each photo.
        person: which person each photo shows, 0 to P - 1.
        prior: of the light.
        precision: how many independent pixels of 100 % relative error a photo is worth.
        known: albedo and light that are nearly right, to save looking for the tone to start from.
    """
    count, channels = samples[0].albedo_basis.shape[0], [sample.color.shape[1] for sample in samples]
    albedo = samples[0].color.new_zeros(int(person.max()) + 1, count)
    lights = [_first_light(sample, prior) for sample in samples]
    for index in range(len(albedo)):
        rows = (person == index).nonzero()[:, 0].tolist()
        if known is not None:
            albedo[index], started = known[0][rows[0]], [known[1][row, :, : channels[row]] for row in rows]
        else:
            albedo[index], started = _start([samples[row] for row in rows], prior, precision)
        for row, light in zip(rows, started, strict=True):
            lights[row] = light
    robust = [
        robust_weight(sample, predicted(sample, albedo[person[row]], lights[row]))
        for row, sample in enumerate(samples)
    ]
    for strength in ROUNDS if known is None else ROUNDS[1:]:
        for index in range(len(albedo)):
            rows = (person == index).nonzero()[:, 0].tolist()
            systems = [
                _system(samples[r], albedo[index], lights[r], robust[r], prior, precision) for r in rows
            ]
            step, light_steps = solve_person(albedo[index], systems, strength)
            albedo[index] += step
            for row, light_step in zip(rows, light_steps, strict=True):
                lights[row] = lights[row] + light_step.view(channels[row], 9).mT
        for row, sample in enumerate(samples):
            robust[row] = robust_weight(sample, predicted(sample, albedo[person[row]], lights[row]))
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
        guesses = [predicted(sample, *pair) for pair in zip(albedos, own, strict=True)]
        errors = torch.stack([relative_error(sample, guess) for guess in guesses])
        # How far the photo is believed must not depend on the tone, or bad fits would look cheap.
        trust = believed(errors.median(1).values.min())
        data = (errors.clamp(max=LARGEST) * sample.weight).sum(1) / sample.weight.sum().clamp_min(1e-9)
        cost = cost + trust * precision * data
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
        robust = robust_weight(sample, predicted(sample, albedo, light))
    return light


def _light_cost(light: Float[Tensor, "9 C"], prior: LightPrior) -> Float[Tensor, ""]:
    """Twice the negative log prior of a light, without constants."""
    curvature, centre = light_prior(light.shape[1], prior, light)
    offset = light.mT.flatten().double() - centre
    return offset @ curvature @ offset


def predicted(
    sample: PixelSamples, albedo: Float[Tensor, " K"], light: Float[Tensor, "9 C"]
) -> Float[Tensor, "P C"]:
    """Colour that albedo and light give the pixels."""
    return reflectance(sample, albedo) * ambient_shading(sample, light)


def reflectance(sample: PixelSamples, albedo: Float[Tensor, " K"]) -> Float[Tensor, "P C"]:
    """Albedo of the pixels; never quite black."""
    return (sample.albedo + torch.tensordot(albedo, sample.albedo_basis, 1)).clamp_min(0.005)


def ambient_shading(sample: PixelSamples, light: Float[Tensor, "9 C"]) -> Float[Tensor, "P C"]:
    """What ``shade_diffuse`` would multiply the albedo by, for one channel (a grey photo) or three."""
    full = SphericalHarmonicsLight(light.expand(-1, 3)[None])
    return full.shading(sample.normals[None])[0, :, : light.shape[1]]


def residual_trust(
    sample: PixelSamples,
    explained: Float[Tensor, "*D P C"],
    robust: Float[Tensor, "*D P"],
    precision: float,
) -> Float[Tensor, "*D P C"]:
    """Weights of the residuals: relative errors, summing up to the given precision if all are robust."""
    weight = sample.weight * robust
    share = weight / sample.weight.sum().clamp_min(1e-9) * precision / sample.color.shape[1]
    trust = (share / (sample.color.median() + DARK) ** 2)[..., None].expand_as(explained)
    return trust.masked_fill(sample.clipped & (explained >= sample.color), 0)


def robust_weight(
    sample: PixelSamples, explained: Float[Tensor, "*D P C"], scale: Float[Tensor, ""] | None = None
) -> Float[Tensor, "*D P"]:
    """Weights by residual: hair, glasses, highlights and cast shadows do not count.

    Args:
        sample: pixels.
        explained: their colours.
        scale: typical squared relative error; that of these colours if None.
    """
    squared = relative_error(sample, explained)
    scale = typical_error(squared) if scale is None else scale
    return believed(scale) * tukey_weight(squared, CUT**2 * scale)


def typical_error(squared: Float[Tensor, " P"]) -> Float[Tensor, ""]:
    """Typical squared relative error of pixels."""
    return squared.median().clamp_min(LEAST_ERROR**2)


def believed(scale: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """How far a photo is believed whose squared relative error is typically as large as that."""
    return (TYPICAL**2 / scale).clamp(max=1)


def tukey_weight(squared: Float[Tensor, "*D P"], reach: Float[Tensor, ""]) -> Float[Tensor, "*D P"]:
    """Tukey's biweight of squared residuals: 1 at none, 0 from ``reach`` on."""
    return (1 - squared / reach).clamp_min(0) ** 2


def relative_error(sample: PixelSamples, explained: Float[Tensor, "*D P C"]) -> Float[Tensor, "*D P"]:
    """Squared error of each pixel relative to the brightness of the face.

    A clipped channel is right whenever it is explained as at least as bright.
    """
    residual = (explained - sample.color).masked_fill(sample.clipped & (explained >= sample.color), 0)
    return ((residual / (sample.color.median() + DARK)) ** 2).mean(-1)


def _first_light(sample: PixelSamples, prior: LightPrior) -> Float[Tensor, "9 C"]:
    """The prior's mean: white, from all around."""
    light = sample.color.new_zeros(9, sample.color.shape[1])
    light[0] = prior.level / SH_CONSTANTS[0]
    return light


def _system(
    sample: PixelSamples, albedo: Tensor, light: Tensor, robust: Tensor, prior: LightPrior, precision: float
) -> tuple[Tensor, Tensor]:
    """Normal equations of one photo: albedo, then light channel by channel, with the light's prior."""
    basis = sh_basis(sample.normals)
    shading = ambient_shading(sample, light)
    surface = reflectance(sample, albedo)
    trust = residual_trust(sample, surface * shading, robust, precision)
    count, _, channels = sample.albedo_basis.shape
    size = count + 9 * channels
    jacobian = sample.color.new_zeros(size, *sample.color.shape)
    jacobian[:count] = sample.albedo_basis * shading
    for channel in range(channels):
        first = count + 9 * channel
        jacobian[first : first + 9, :, channel] = (basis * surface[:, channel, None]).mT
    rows, weight = jacobian.flatten(1), trust.flatten()
    residual = (sample.color - surface * shading).flatten()
    matrix = ((rows * weight) @ rows.mT).double()
    right = (rows @ (weight * residual)).double()
    curvature, centre = light_prior(channels, prior, light)
    matrix[count:, count:] += curvature
    right[count:] -= curvature @ (light.mT.flatten().double() - centre)
    return matrix, right


def light_prior(
    channels: int, prior: LightPrior, like: Float[Tensor, "9 C"]
) -> tuple[Float[Tensor, "L L"], Float[Tensor, " L"]]:
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


def solve_person(
    shared: Float[Tensor, " K"], systems: list[tuple[Tensor, Tensor]], strength: float | Float[Tensor, " K"]
) -> tuple[Float[Tensor, " K"], list[Tensor]]:
    """Joint step of what a person's photos share and of the light of each.

    ``strength`` is the precision of the Gaussian prior of what is shared.

    Solving for them in turn would creep along the valley of darker faces under brighter light.
    """
    count = len(shared)
    sizes = [len(right) - count for _, right in systems]
    matrix = torch.zeros(count + sum(sizes), count + sum(sizes), dtype=torch.float64, device=shared.device)
    right = torch.zeros(len(matrix), dtype=torch.float64, device=shared.device)
    matrix.diagonal()[:count] += strength  # the Gaussian prior
    right[:count] -= (strength * shared).double()
    start = count
    for (part, part_right), size in zip(systems, sizes, strict=True):
        own = slice(start, start + size)
        matrix[:count, :count] += part[:count, :count]
        matrix[own, own] = part[count:, count:]
        matrix[:count, own], matrix[own, :count] = part[:count, count:], part[count:, :count]
        right[:count] += part_right[:count]
        right[own] = part_right[count:]
        start += size
    step = torch.linalg.solve(matrix, right).to(shared.dtype)
    return step[:count], list(step[count:].split(sizes))
