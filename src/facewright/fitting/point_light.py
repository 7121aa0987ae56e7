"""One point light a photo and the gloss of the skin, beside albedo and soft light that are known already.

A pixel is ``albedo(a) * (Y(n) @ light + intensity * max(0, n . l)) + gloss(s) * lobe(n, h) * intensity``.
Where the light stands is found by trying directions all around the head; then everything moves together.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.fitting.appearance import (
    CUT,
    LightPrior,
    PixelSamples,
    ambient_shading,
    believed,
    light_prior,
    predicted,
    reflectance,
    relative_error,
    residual_trust,
    robust_weight,
    solve_person,
    typical_error,
)
from facewright.render.shading import shade_point_diffuse, shade_specular
from facewright.scene.lighting import SH_CONSTANTS, PointLight, sh_basis
from facewright.scene.material import SKIN_SHININESS

DISTANCE = 1500.0  # mm from the head; a photo hardly tells
# Angles from the direction of the camera, and how many directions are tried at each.
RINGS = tuple(
    (math.radians(angle), number) for angle, number in ((0, 1), (20, 6), (45, 8), (70, 10), (95, 10))
)
TRIED_PIXELS = 600  # of a photo, while directions are compared
TRIED_ROUNDS = 3
LEAST_ROBUST = 0.25  # highlights are outliers for soft light alone: they must be heard at the start
ROUNDS = 5
TURN = 0.01  # rad, of the numeric derivative by the direction
TURN_STD = 0.3  # rad, of one step of the direction
SPHERE_MEAN = 0.25  # of max(0, n . l)


@dataclass(frozen=True)
class PointLightPrior:
    """What is known of a hard light; the unit is the brightness of a white matt surface that faces it.

    Attributes:
        intensity_std: of its brightness, whose mean is 0: soft light explains what it can.
        color_std: of the channels' differences from their mean.
        gloss_strength: factor on the prior of the specular coefficients; below 1, since powder, sweat and
            cream spread further than the model's unit Gaussian.
        gain: how much more probable (twice the log) a photo must become before a point light is believed.
        least: intensity below which there is none.
    """

    intensity_std: float = 0.7
    color_std: float = 0.08
    gloss_strength: float = 0.2
    gain: float = 1.0
    least: float = 0.05


@dataclass(frozen=True)
class LightPriors:
    """What is known of the light in photos of faces.

    Attributes:
        soft: from all around.
        bulb: of a point light.
    """

    soft: LightPrior
    bulb: PointLightPrior


@dataclass(frozen=True)
class SoftlyLit:
    """Heads as soft light alone explains them.

    Attributes:
        albedo: coefficients, from ``solve_appearance``.
        ambient: light, likewise.
        origin: of the heads, mm, camera frame.
    """

    albedo: Float[Tensor, "B K"]
    ambient: Float[Tensor, "B 9 3"]
    origin: Float[Tensor, "B 3"]


@dataclass(frozen=True)
class PhotoLight:
    """Light of one photo; C = 3 channels, or 1 for a grey photo.

    Attributes:
        ambient: spherical harmonics.
        origin: of the head, mm, camera frame.
        direction: from there to the point light, unit.
        intensity: of the point light, or None where there is none.
    """

    ambient: Float[Tensor, "9 C"]
    origin: Float[Tensor, " 3"]
    direction: Float[Tensor, " 3"]
    intensity: Float[Tensor, " C"] | None = None

    @property
    def position(self) -> Float[Tensor, " 3"]:
        """Of the point light, mm, camera frame."""
        return self.origin + DISTANCE * self.direction


def solve_point_lights(
    samples: list[PixelSamples],
    person: Int64[Tensor, " B"],
    start: SoftlyLit,
    prior: LightPriors,
    precision: float,
) -> tuple[Float[Tensor, "B K"], Float[Tensor, "B S"], Float[Tensor, "B 9 3"], PointLight]:
    """Albedo and specular coefficients of each person, soft and point light of each photo.

    Args:
        samples: of each photo.
        person: which person each photo shows, 0 to P - 1.
        start: what soft light explains.
        prior: of the light.
        precision: as in ``solve_appearance``.

    Returns:
        The intensity of the point light is 0 in photos that are explained without one.
    """
    albedo, ambient, origin = start.albedo, start.ambient, start.origin
    count, gloss_count = albedo.shape[1], len(samples[0].specular_basis)
    shared = torch.cat([albedo, albedo.new_zeros(len(albedo), gloss_count)], dim=1)
    strength = torch.ones_like(shared[0])
    strength[count:] = prior.bulb.gloss_strength
    lights, scales = [], []
    for row, sample in enumerate(samples):
        light = PhotoLight(ambient[row, :, : sample.color.shape[1]], origin[row], -_unit(origin[row]))
        # Kept while light is added, or a wrong light would look cheap.
        scales.append(typical_error(relative_error(sample, explained(sample, shared[row], light))))
        lights.append(_best_direction(sample, shared[row], light, scales[row], prior, precision))
    for index in range(int(person.max()) + 1):
        rows = (person == index).nonzero()[:, 0].tolist()
        if all(lights[row].intensity is None for row in rows):
            continue
        found = shared[rows[0]]
        for _ in range(ROUNDS):
            systems = [
                _system(samples[row], found, lights[row], scales[row], prior, precision) for row in rows
            ]
            step, own = solve_person(found, systems, strength)
            found = found + step
            for row, change in zip(rows, own, strict=True):
                lights[row] = _moved(lights[row], change)
        shared[rows] = found
    position = torch.stack([light.position for light in lights])
    intensity = torch.stack([_rgb_intensity(light, prior.bulb) for light in lights])
    soft = torch.stack([light.ambient.expand(-1, 3) for light in lights])
    return shared[:, :count], shared[:, count:], soft, PointLight(position, intensity)


def explained(sample: PixelSamples, shared: Float[Tensor, " K"], light: PhotoLight) -> Float[Tensor, "P C"]:
    """Colour that albedo, gloss (one after the other in ``shared``) and light give the pixels."""
    count = len(sample.albedo_basis)
    soft = predicted(sample, shared[:count], light.ambient)
    if light.intensity is None:
        return soft
    cosine, lobe = _falling(sample, light.position)
    matt = reflectance(sample, shared[:count]) * cosine[:, None]
    return soft + (matt + (_gloss(sample, shared[count:]) * lobe)[:, None]) * light.intensity


def _gloss(sample: PixelSamples, coefficients: Tensor) -> Float[Tensor, " P"]:
    return (sample.specular + coefficients @ sample.specular_basis).clamp(0, 1)


def _falling(sample: PixelSamples, position: Tensor) -> tuple[Float[Tensor, " P"], Float[Tensor, " P"]]:
    """What a point light of intensity 1 adds to a white matt pixel, and to a wholly glossy one."""
    normals, points = sample.normals[None], sample.points[None]
    bulb = PointLight(position[None], torch.ones_like(position)[None])
    white = torch.ones_like(normals)
    matt = shade_point_diffuse(white, normals, points, bulb)
    shine = shade_specular(white[..., :1], normals, points, bulb, SKIN_SHININESS)
    return matt[0, :, 0], shine[0, :, 0]


def _misfit(sample: PixelSamples, color: Tensor, scale: Tensor, precision: float) -> Float[Tensor, "*D"]:
    """Twice the negative log likelihood whose weights are ``robust_weight``."""
    reach = CUT**2 * scale
    error = reach / 3 * (1 - (1 - relative_error(sample, color) / reach).clamp_min(0) ** 3)
    return (
        precision * believed(scale) * (error @ sample.weight) / sample.weight.sum().clamp_min(1e-9)
    ).double()


def _best_direction(
    sample: PixelSamples,
    shared: Tensor,
    light: PhotoLight,
    scale: Tensor,
    prior: LightPriors,
    precision: float,
) -> PhotoLight:
    """The light with the most probable of all tried point lights, or without any.

    For given albedo, gloss and direction a pixel is linear in both lights: each direction is a small solve.
    """
    few = _thinned(sample)
    channels = few.color.shape[1]
    directions = torch.stack(_directions(light.direction))
    falling = [_falling(few, light.origin + DISTANCE * direction) for direction in directions]
    cosine, lobe = (torch.stack(parts)[..., None] for parts in zip(*falling, strict=True))
    surface = reflectance(few, shared[: len(few.albedo_basis)])
    gloss = _gloss(few, shared[len(few.albedo_basis) :])[:, None]
    soft = (surface[..., None] * sh_basis(few.normals)[:, None]).expand(len(directions), -1, -1, -1)
    design = torch.cat([soft, (surface * cosine + gloss * lobe)[..., None]], dim=-1)  # (D, P, C, 10)
    order = _channel_rows(channels, design.device)
    dim = replace(light, intensity=torch.zeros_like(light.ambient[0]))
    curvature, centre = _prior(dim, prior)
    color = explained(few, shared, light).expand(len(directions), -1, -1)
    robust = robust_weight(few, color, scale).clamp_min(LEAST_ROBUST)
    for _ in range(TRIED_ROUNDS):
        weight = residual_trust(few, color, robust, precision)
        weighted = design * weight[..., None]
        blocks = torch.einsum("dpci,dpcj->dcij", weighted, design).double()
        right = torch.einsum("dpci,pc->dci", weighted, few.color).double()
        matrix = curvature.expand(len(directions), -1, -1).clone()
        matrix[:, order[:, :, None], order[:, None, :]] += blocks
        sides = (curvature @ centre).expand(len(directions), -1).clone()
        sides[:, order] += right
        found = torch.linalg.solve(matrix, sides)
        found[:, 9 * channels :] = found[:, 9 * channels :].clamp_min(0)
        color = torch.einsum("dpci,dci->dpc", design, found[:, order].to(design)).clamp_min(0)
        robust = robust_weight(few, color, scale)
    offset = found - centre
    cost = _misfit(few, color, scale, precision) + ((offset @ curvature) * offset).sum(1)
    best = int(cost.argmin())
    if cost[best] > _cost(few, shared, light, scale, prior, precision) - prior.bulb.gain:
        return light
    ambient = found[best, : 9 * channels].view(channels, 9).mT.to(light.ambient)
    intensity = found[best, 9 * channels :].to(light.ambient)
    return replace(light, ambient=ambient, direction=directions[best], intensity=intensity)


def _channel_rows(channels: int, device: torch.device) -> Int64[Tensor, "C 10"]:
    """Where the soft light and the intensity of each channel stand among the unknowns."""
    channel = torch.arange(channels, device=device)[:, None]
    return torch.cat([9 * channel + torch.arange(9, device=device), 9 * channels + channel], dim=1)


def _thinned(sample: PixelSamples) -> PixelSamples:
    step = max(1, len(sample.color) // TRIED_PIXELS)
    pixels = ("color", "weight", "normals", "albedo", "points", "specular", "clipped")
    few = {name: getattr(sample, name)[::step] for name in pixels}
    few |= {name: getattr(sample, name)[:, ::step] for name in ("albedo_basis", "specular_basis")}
    return replace(sample, **few)


def _directions(towards_camera: Float[Tensor, " 3"]) -> list[Float[Tensor, " 3"]]:
    """Unit vectors in rings around the direction of the camera."""
    across, up = _tangents(towards_camera)
    found = []
    for polar, number in RINGS:
        for index in range(number):
            turn = 2 * math.pi * index / number
            side = math.cos(turn) * across + math.sin(turn) * up
            found.append(math.cos(polar) * towards_camera + math.sin(polar) * side)
    return found


def _tangents(direction: Tensor) -> tuple[Tensor, Tensor]:
    """Two unit vectors across a unit vector."""
    axis = torch.zeros_like(direction)
    axis[int(direction.abs().argmin())] = 1
    across = _unit(torch.linalg.cross(direction, axis))
    return across, torch.linalg.cross(direction, across)


def _cost(
    sample: PixelSamples,
    shared: Tensor,
    light: PhotoLight,
    scale: Tensor,
    prior: LightPriors,
    precision: float,
) -> Tensor:
    """Twice the negative log probability of a photo and its light."""
    curvature, centre = _prior(light, prior)
    offset = _packed(light) - centre
    misfit = _misfit(sample, explained(sample, shared, light), scale, precision)
    return misfit + offset @ curvature @ offset


def _packed(light: PhotoLight) -> Tensor:
    parts = [light.ambient.mT.flatten()]
    if light.intensity is not None:
        parts.append(light.intensity)
    return torch.cat(parts).double()


def _prior(light: PhotoLight, prior: LightPriors) -> tuple[Tensor, Tensor]:
    """Curvature and centre of soft light and intensity, whose sum is as bright as photos are."""
    channels = light.ambient.shape[1]
    total = light.ambient.clone()
    if light.intensity is not None:
        total[0] += light.intensity * SPHERE_MEAN / SH_CONSTANTS[0]
    soft, centre = light_prior(channels, prior.soft, total)
    if light.intensity is None:
        return soft, centre
    share = torch.zeros(9 * channels, channels, dtype=soft.dtype, device=soft.device)
    for channel in range(channels):
        share[9 * channel, channel] = SPHERE_MEAN / SH_CONSTANTS[0]
    eye = torch.eye(channels, dtype=soft.dtype, device=soft.device)
    mean = torch.full_like(eye, 1 / channels)
    own = mean / channels / prior.bulb.intensity_std**2 + (eye - mean) / prior.bulb.color_std**2
    spread = torch.cat([torch.eye(9 * channels, dtype=soft.dtype, device=soft.device), share], dim=1)
    curvature = spread.mT @ soft @ spread
    curvature[9 * channels :, 9 * channels :] += own
    return curvature, torch.cat([centre, centre.new_zeros(channels)])


def _system(
    sample: PixelSamples,
    shared: Tensor,
    light: PhotoLight,
    scale: Tensor,
    prior: LightPriors,
    precision: float,
) -> tuple[Tensor, Tensor]:
    """Normal equations of one photo: albedo and gloss, soft light, and intensity and direction if any."""
    color = explained(sample, shared, light)
    weight = residual_trust(sample, color, robust_weight(sample, color, scale), precision).flatten()
    rows = _jacobian(sample, shared, light).flatten(1)
    matrix = ((rows * weight) @ rows.mT).double()
    right = (rows @ (weight * (sample.color - color).flatten())).double()
    curvature, centre = _prior(light, prior)
    own = slice(len(shared), len(shared) + len(curvature))
    matrix[own, own] += curvature
    right[own] -= curvature @ (_packed(light) - centre)
    matrix.diagonal()[own.stop :] += 1 / TURN_STD**2
    return matrix, right


def _jacobian(sample: PixelSamples, shared: Tensor, light: PhotoLight) -> Float[Tensor, "N P C"]:
    count, _, channels = sample.albedo_basis.shape
    gloss_count = len(sample.specular_basis)
    surface = reflectance(sample, shared[:count])
    shading = ambient_shading(sample, light.ambient)
    size = count + gloss_count + 9 * channels + (0 if light.intensity is None else channels + 2)
    rows = sample.color.new_zeros(size, *sample.color.shape)
    basis = sh_basis(sample.normals)
    soft = count + gloss_count
    for channel in range(channels):
        first = soft + 9 * channel
        rows[first : first + 9, :, channel] = (basis * surface[:, channel, None]).mT
    if light.intensity is not None:
        cosine, lobe = _falling(sample, light.position)
        shading = shading + cosine[:, None] * light.intensity
        rows[count:soft] = (sample.specular_basis * lobe)[..., None] * light.intensity
        gloss = _gloss(sample, shared[count:])
        bulb = soft + 9 * channels
        for channel in range(channels):
            rows[bulb + channel, :, channel] = surface[:, channel] * cosine + gloss * lobe
        for number, tangent in enumerate(_tangents(light.direction)):
            sides = [
                explained(sample, shared, replace(light, direction=_unit(light.direction + turn * tangent)))
                for turn in (TURN, -TURN)
            ]
            rows[bulb + channels + number] = (sides[0] - sides[1]) / (2 * TURN)
    rows[:count] = sample.albedo_basis * shading
    return rows


def _moved(light: PhotoLight, change: Tensor) -> PhotoLight:
    """The light after a step of the unknowns of ``_system`` that are its own."""
    channels = light.ambient.shape[1]
    change = change.to(light.ambient.dtype)
    ambient = light.ambient + change[: 9 * channels].view(channels, 9).mT
    if light.intensity is None:
        return replace(light, ambient=ambient)
    intensity = (light.intensity + change[9 * channels : 10 * channels]).clamp_min(0)
    across, up = _tangents(light.direction)
    direction = _unit(light.direction + change[-2] * across + change[-1] * up)
    return replace(light, ambient=ambient, intensity=intensity, direction=direction)


def _rgb_intensity(light: PhotoLight, prior: PointLightPrior) -> Float[Tensor, " 3"]:
    if light.intensity is None or float(light.intensity.mean()) < prior.least:
        return torch.zeros_like(light.origin)
    return light.intensity.expand(3)


def _unit(vector: Tensor) -> Tensor:
    return vector / vector.norm().clamp_min(1e-9)
