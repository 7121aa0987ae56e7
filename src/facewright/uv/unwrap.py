"""A photo laid out over the texture map, with the light taken out of it and a confidence for each texel."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from facewright.core.errors import InputError
from facewright.geometry.mesh import Topology
from facewright.geometry.normals import vertex_normals
from facewright.image.color import linear_from_srgb, luminance
from facewright.image.sample import sample_bilinear
from facewright.render.rasterize import rasterize
from facewright.render.shading import shade_point_diffuse, shade_specular, unit
from facewright.scene.camera import Camera, PerspectiveCamera
from facewright.scene.lighting import PointLight, SphericalHarmonicsLight
from facewright.uv.chart import UvChart
from facewright.uv.pyramid import blur, enlarge, shrink


@dataclass(frozen=True)
class UvSamples:
    """What photos say about a texture map.

    Attributes:
        color: linear RGB; albedo if the light was divided out; 0 where confidence is 0.
        confidence: 0 (nothing known) to 1.
    """

    color: Float[Tensor, "S S 3"]
    confidence: Float[Tensor, "S S 1"]


@dataclass(frozen=True)
class UnwrapSettings:
    """How far a photo is trusted.

    Attributes:
        facing: cosine between surface normal and view from which on a texel counts, and counts fully.
        shading_floor: shading is divided out down to this fraction of the photo's median shading.
        shading_trust: fractions of the median shading from which on a texel counts, and counts fully.
        depth_bias: mm that a texel may lie behind the foremost surface and still be seen.
        depth_size: longest side in pixels of the depth buffer of the visibility test.
        feather: width of the soft border around what is hidden, as a fraction of the map.
        border: pixels of the photo over which the confidence falls to 0 at its border.
    """

    facing: tuple[float, float] = (0.25, 0.7)
    shading_floor: float = 0.35
    shading_trust: tuple[float, float] = (0.2, 0.6)
    depth_bias: float = 1.5
    depth_size: int = 640
    feather: float = 1 / 128
    border: float = 8.0


@dataclass(frozen=True)
class Illumination:
    """The light of a photo and how the head reflects it.

    Attributes:
        ambient: diffuse light, camera frame.
        bulb: point light, camera frame, or None.
        specular: specular intensity at the vertices, or None for a dull head.
        shininess: Blinn-Phong exponent.
    """

    ambient: SphericalHarmonicsLight
    bulb: PointLight | None = None
    specular: Float[Tensor, " V"] | None = None
    shininess: float = 20.0


def unwrap(
    chart: UvChart,
    photo: Float[Tensor, "3 H W"],
    vertices_camera: Float[Tensor, "V 3"],
    topology: Topology,
    camera: Camera,
    *,
    illumination: Illumination | None = None,
    settings: UnwrapSettings = UnwrapSettings(),
) -> UvSamples:
    """Look up each texel in a photo.

    Confidence is facing x visibility (depth test, feathered) x inside the photo x lit enough.

    Args:
        chart: chart of the topology.
        photo: sRGB.
        vertices_camera: the fitted head with its expression, mm, camera frame.
        topology: its triangles.
        camera: camera frame to pixels of the photo; its size is the photo's.
        illumination: what is divided out; None leaves the photo's colours.
        settings: how far the photo is trusted.

    Raises:
        InputError: the camera's size is not the photo's.
    """
    if tuple(photo.shape[1:]) != tuple(camera.size):
        raise InputError(
            f"the camera is one of a photo of {camera.size}, the photo is {tuple(photo.shape[1:])}."
        )
    turned = vertex_normals(vertices_camera[None], topology.faces)[0]
    towards = -(turned * _view(vertices_camera, camera)).sum(-1)
    front = chart.where((towards > 0)[topology.faces].any(-1)[chart.triangle])
    surface = _surface(front, vertices_camera, turned, camera)
    hidden = _behind_something(surface, vertices_camera, topology, camera, settings)
    confidence = smoothstep(surface.facing, settings.facing) * ~hidden
    confidence = confidence * _inside(surface.pixels, camera.size, settings.border)
    confidence = confidence * _feathered(chart, front, ~hidden & (surface.facing > 0), settings.feather)
    color = _sampled(photo, surface.pixels[:, :2], confidence > 0)
    confidence = confidence * _not_burnt_out(color)
    if illumination is not None:
        color, trust = _without_light(front, color, surface, confidence, illumination, settings)
        confidence = confidence * trust
    color = torch.where(confidence[:, None] > 0, color, 0)
    return UvSamples(front.scatter(color), front.scatter(confidence[:, None]))


def blend_samples(samples: Sequence[UvSamples]) -> UvSamples:
    """Merge what several photos of one person say: the surer photo prevails, brightness is evened out.

    Raises:
        InputError: no samples.
    """
    if not samples:
        raise InputError("blending needs the samples of at least one photo, got none.")
    if len(samples) == 1:
        return samples[0]
    reference = max(samples, key=lambda each: float(each.confidence.sum()))
    total = torch.zeros_like(reference.color)
    weight = torch.zeros_like(reference.confidence)
    unknown = torch.ones_like(reference.confidence)
    for each in samples:
        # The fourth power: where one photo is much surer, the others would only blur it.
        share = each.confidence**4 + 1e-4 * each.confidence
        total += share * each.color * _gain(each, reference)
        weight += share
        unknown *= 1 - each.confidence
    return UvSamples(torch.where(weight > 0, total / weight.clamp_min(1e-12), 0), 1 - unknown)


@dataclass(frozen=True)
class _Surface:
    """Camera frame positions (mm), unit normals, pixels (x, y, depth) and cosine to the viewer of texels."""

    points: Tensor
    normals: Tensor
    pixels: Tensor
    facing: Tensor


def _surface(chart: UvChart, vertices_camera: Tensor, turned: Tensor, camera: Camera) -> _Surface:
    points = chart.gather(vertices_camera)
    normals = unit(chart.gather(turned))
    facing = -(normals * _view(points, camera)).sum(-1)
    return _Surface(points, normals, camera.project(points[None])[0], facing)


def _view(points: Tensor, camera: Camera) -> Tensor:
    """Unit vectors from the eye to the points."""
    if isinstance(camera, PerspectiveCamera):
        return unit(points)
    return points.new_tensor([0.0, 0.0, 1.0]).expand_as(points)


def _behind_something(
    surface: _Surface, vertices_camera: Tensor, topology: Topology, camera: Camera, settings: UnwrapSettings
) -> Tensor:
    """True where another part of the head is in front: a depth test in a buffer cropped to the head."""
    projected = camera.project(vertices_camera[None])
    low, high = projected[0, :, :2].amin(0), projected[0, :, :2].amax(0)
    scale = (settings.depth_size / (high - low).max().clamp_min(1e-6)).item()
    width, height = ((high - low) * scale).ceil().int().clamp(1, settings.depth_size + 1).tolist()
    projected[..., :2] = (projected[..., :2] - low) * scale
    perspective = isinstance(camera, PerspectiveCamera)
    depth = rasterize(projected, topology.faces, (height, width), perspective=perspective).depth[0]
    place = ((surface.pixels[:, :2] - low) * scale).floor().long()
    column, row = place[:, 0].clamp(0, width - 1), place[:, 1].clamp(0, height - 1)
    foremost = depth[row, column]
    # One buffer pixel of a slanted surface spans this much depth.
    size_mm = (vertices_camera.amax(0) - vertices_camera.amin(0))[:2].max() / settings.depth_size
    slope = (1 - surface.facing.square()).clamp_min(0).sqrt() / surface.facing.clamp_min(0.1)
    behind = surface.pixels[:, 2] > foremost + settings.depth_bias + slope * size_mm
    return behind & (foremost > 0)


def _inside(pixels: Tensor, size: tuple[int, int], border: float) -> Tensor:
    height, width = size
    x, y = pixels[:, 0], pixels[:, 1]
    margin = torch.minimum(torch.minimum(x, width - x), torch.minimum(y, height - y))
    return (margin / border).clamp(0, 1) * (pixels[:, 2] > 0)


def _feathered(chart: UvChart, front: UvChart, seen: Tensor, feather: float) -> Tensor:
    """Factors that fall to 0 inside the seen area towards what is hidden; chart borders hide nothing."""
    ones = chart.weights.new_ones(len(chart.texel), 1)
    covered = chart.scatter(ones).permute(2, 0, 1)[None]
    visible = front.scatter(seen[:, None].to(ones.dtype)).permute(2, 0, 1)[None]
    coarse, weight = shrink(visible, covered, 4)
    share = blur(coarse, max(1, round(chart.size * feather / 4)), weight)
    share = enlarge(share, 4, visible.shape[-2:])
    return ((share.reshape(-1)[front.texel] - 0.5) * 2).clamp(0, 1) * seen


def _sampled(photo: Tensor, pixels: Tensor, wanted: Tensor) -> Tensor:
    """Linear colours of the photo at the wanted pixels, from a photo no finer than the texels."""
    color = torch.zeros(len(pixels), 3, dtype=photo.dtype, device=photo.device)
    if not bool(wanted.any()):
        return color
    chosen = pixels[wanted]
    low = (chosen.amin(0).floor().long() - 2).clamp_min(0)
    high = (chosen.amax(0).ceil().long() + 2).tolist()
    crop = linear_from_srgb(photo[:, int(low[1]) : high[1], int(low[0]) : high[0]])[None]
    # Pixels that a texel spans, from the box of what is seen (an over-estimate by the empty corners).
    span = float((chosen.amax(0) - chosen.amin(0)).prod()) / len(chosen)
    factor = max(1, int(0.8 * span**0.5))
    if factor > 1:
        crop = functional.avg_pool2d(crop, factor, ceil_mode=True)
    color[wanted] = sample_bilinear(crop, ((chosen - low) / factor)[None])[0]
    return color


def _not_burnt_out(color: Tensor) -> Tensor:
    """0 where the sensor clipped, 1 below: a burnt-out highlight says little about the skin."""
    return 1 - smoothstep(color.amax(-1), (0.9, 0.995))


def _without_light(
    chart: UvChart,
    color: Tensor,
    surface: _Surface,
    confidence: Tensor,
    illumination: Illumination,
    settings: UnwrapSettings,
) -> tuple[Tensor, Tensor]:
    """Albedo, and how far it can be trusted where little light fell."""
    normals, bulb = surface.normals[None], illumination.bulb
    shading = illumination.ambient.shading(normals)[0]
    if bulb is not None:
        points = surface.points[None]
        shading = shading + shade_point_diffuse(torch.ones_like(normals), normals, points, bulb)[0]
        if illumination.specular is not None:
            intensity = chart.gather(illumination.specular[:, None])[None]
            color = color - shade_specular(intensity, normals, points, bulb, illumination.shininess)[0]
    known = confidence > 0.5
    typical = shading[known if bool(known.any()) else confidence >= 0].median(0).values.clamp_min(1e-3)
    trust = smoothstep(luminance(shading) / luminance(typical), settings.shading_trust)
    return color.clamp_min(0) / torch.maximum(shading, typical * settings.shading_floor), trust


def _gain(samples: UvSamples, reference: UvSamples) -> Tensor:
    """Colour factor (3) that brings samples to the level of the reference where both are sure."""
    both = (samples.confidence * reference.confidence)[..., 0] > 0.25
    if int(both.sum()) < 64:
        return torch.ones(3, dtype=samples.color.dtype, device=samples.color.device)
    ratio = (reference.color[both] + 0.02) / (samples.color[both] + 0.02)
    return ratio.median(0).values.clamp(0.5, 2)


def smoothstep(values: Float[Tensor, "*N"], edges: tuple[float, float]) -> Float[Tensor, "*N"]:
    """0 below the first edge, 1 above the second, smooth between."""
    t = ((values - edges[0]) / (edges[1] - edges[0])).clamp(0, 1)
    return t * t * (3 - 2 * t)
