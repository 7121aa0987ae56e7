"""A photo laid out over the texture map, with the light taken out of it and a confidence for each texel."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from facewright.core.errors import InputError
from facewright.geometry.mesh import Topology
from facewright.geometry.normals import vertex_normals
from facewright.image.color import linear_from_srgb, luminance
from facewright.image.cover import Cover
from facewright.image.pyramid import blur, enlarge, shrink
from facewright.image.sample import sample_bilinear
from facewright.image.smoothstep import smoothstep
from facewright.render.rasterize import rasterize
from facewright.render.shading import shade_point_diffuse, shade_specular, unit
from facewright.scene.camera import Camera, PerspectiveCamera
from facewright.scene.lighting import PointLight, SphericalHarmonicsLight
from facewright.scene.material import SKIN_SHININESS
from facewright.uv.chart import UvChart

LEAST_BLUE = 0.85  # blue over red of skin without its highlight, relative to the fitted albedo
MOST_HIGHLIGHT = 0.6  # of the light that comes from a texel
INSIDE_REACH = 60.0  # mm
INSIDE_POOL = 4  # pixels of the depth buffer that are one step of the distance to the outline


@dataclass(frozen=True)
class UvSamples:
    """What photos say about a texture map.

    Attributes:
        color: linear RGB; albedo if the light was divided out; 0 where confidence is 0.
        confidence: 0 (nothing known) to 1.
        inside: mm, as the camera sees them, from each texel to the outline of the head in the photo, up to
            ``INSIDE_REACH``; beyond the outline is no skin. None: not known.
        texels_a_pixel: side of a pixel of the photo in texels; 0: not known.
        covered: probability that something lies before the head there; None: nothing does.
        beside: probability that the background is seen there; None: not known.
    """

    color: Float[Tensor, "S S 3"]
    confidence: Float[Tensor, "S S 1"]
    inside: Float[Tensor, "S S 1"] | None = None
    texels_a_pixel: float = 0.0
    covered: Float[Tensor, "S S 1"] | None = None
    beside: Float[Tensor, "S S 1"] | None = None


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

    facing: tuple[float, float] = (0.2, 0.7)
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
        albedo: diffuse albedo at the vertices as it was fitted; a highlight is then taken off only as far as
            what is left has the colour of skin. None: it is taken off whole.
    """

    ambient: SphericalHarmonicsLight
    bulb: PointLight | None = None
    specular: Float[Tensor, " V"] | None = None
    shininess: float = SKIN_SHININESS
    albedo: Float[Tensor, "V 3"] | None = None


@dataclass(frozen=True)
class Sight:
    """How a photo shows the head, beside what camera and mesh say.

    Attributes:
        cover: what lies before the head; it is told, and lowers no confidence by itself.
        shift: pixels from each vertex's projection to where the photo shows it; None: it shows it there.
        beside: where the background is seen; likewise.
    """

    cover: Cover | None = None
    shift: Float[Tensor, "V 2"] | None = None
    beside: Cover | None = None


def unwrap(
    chart: UvChart,
    photo: Float[Tensor, "3 H W"],
    vertices_camera: Float[Tensor, "V 3"],
    topology: Topology,
    camera: Camera,
    *,
    illumination: Illumination | None = None,
    settings: UnwrapSettings = UnwrapSettings(),
    sight: Sight = Sight(),
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
        sight: what else is known of the photo.

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
    view = _depth_view(vertices_camera, topology, camera, settings.depth_size)
    hidden = _behind_something(surface, view, settings)
    confidence = smoothstep(surface.facing, settings.facing) * ~hidden
    seen = surface.pixels[:, :2]
    if sight.shift is not None:
        seen = seen + front.gather(sight.shift)
    confidence = confidence * _inside(seen, surface.pixels[:, 2], camera.size, settings.border)
    confidence = confidence * _feathered(chart, front, ~hidden & (surface.facing > 0), settings.feather)
    color, span = _sampled(photo, seen, confidence > 0)
    confidence = confidence * _not_burnt_out(color)
    if illumination is not None:
        color, trust = _without_light(front, color, surface, confidence, illumination, settings)
        confidence = confidence * trust
    color = torch.where(confidence[:, None] > 0, color, 0)
    inside = front.scatter(_inside_outline(surface, view)[:, None])
    sharpness = 1 / span if span > 0 else 0.0
    covered, beside = (
        None if look is None else front.scatter(look(seen)[:, None]) for look in (sight.cover, sight.beside)
    )
    confidence = front.scatter(confidence[:, None])
    return UvSamples(front.scatter(color), confidence, inside, sharpness, covered, beside)


class SampleBlend:
    """Merges what several photos of one person say, one after the other: only sums are kept.

    The surer and sharper photo prevails; brightness and colour are brought to those of the best one so far.
    Photos of one person are no independent witnesses: together they are as sure as the surest.
    """

    def __init__(self) -> None:
        self.count = 0
        self._best: UvSamples | None = None
        self._total = self._weight = torch.empty(0)
        self._confidence = torch.empty(0)
        self._inside: Tensor | None = None
        self._covered: Tensor | None = None

    def add(self, samples: UvSamples) -> None:
        """Merge one more photo."""
        self.count += 1
        # The fourth power: where one photo is much surer, the others would only blur it, as coarser ones do.
        share = _detail(samples) * (samples.confidence**4 + 1e-4 * samples.confidence)
        if self._best is None:
            self._best, self._total, self._weight = samples, share * samples.color, share
            self._confidence = samples.confidence
        else:
            if _worth(samples) > _worth(self._best):
                self._total = self._total * _gain(self._best, samples)
                self._best = samples
            self._total = self._total + share * samples.color * _gain(samples, self._best)
            self._weight = self._weight + share
            self._confidence = torch.maximum(self._confidence, samples.confidence)
        self._inside = _larger(self._inside, samples.inside)
        self._covered = _larger(self._covered, samples.covered)

    def result(self) -> UvSamples:
        """What all photos say together; of one photo what it said.

        Raises:
            InputError: no photo was added.
        """
        if self._best is None:
            raise InputError("blending needs the samples of at least one photo, got none.")
        if self.count == 1:
            return self._best
        color = torch.where(self._weight > 0, self._total / self._weight.clamp_min(1e-12), 0)
        detail = self._best.texels_a_pixel
        return UvSamples(color, self._confidence, self._inside, detail, self._covered)


def _detail(samples: UvSamples) -> float:
    """Pixels of the photo for a texel, at most 1."""
    return max(1.0, samples.texels_a_pixel) ** -2


def _worth(samples: UvSamples) -> float:
    return _detail(samples) * float(samples.confidence.sum())


def _larger(known: Tensor | None, more: Tensor | None) -> Tensor | None:
    if known is None or more is None:
        return more if known is None else known
    return torch.maximum(known, more)


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


@dataclass(frozen=True)
class _DepthView:
    """The foremost surface in a picture cropped to the head.

    Attributes:
        depth: mm, 0 where the head is not.
        low: pixel of the photo at the corner of the picture.
        scale: pixels of the picture to one of the photo.
        pixel_mm: side of a pixel at the head.
    """

    depth: Tensor
    low: Tensor
    scale: float
    pixel_mm: float

    def at(self, pixels: Tensor, values: Tensor) -> Tensor:
        """Values of a picture of this one's extent at pixels of the photo."""
        step = self.depth.shape[0] / values.shape[0], self.depth.shape[1] / values.shape[1]
        place = (pixels[:, :2] - self.low) * self.scale
        column = (place[:, 0] / step[1]).floor().long().clamp(0, values.shape[1] - 1)
        row = (place[:, 1] / step[0]).floor().long().clamp(0, values.shape[0] - 1)
        return values[row, column]


def _depth_view(vertices_camera: Tensor, topology: Topology, camera: Camera, size: int) -> _DepthView:
    projected = camera.project(vertices_camera[None])
    low, high = projected[0, :, :2].amin(0), projected[0, :, :2].amax(0)
    scale = (size / (high - low).max().clamp_min(1e-6)).item()
    width, height = ((high - low) * scale).ceil().int().clamp(1, size + 1).tolist()
    projected[..., :2] = (projected[..., :2] - low) * scale
    perspective = isinstance(camera, PerspectiveCamera)
    depth = rasterize(projected, topology.faces, (height, width), perspective=perspective).depth[0]
    extent = (vertices_camera.amax(0) - vertices_camera.amin(0))[:2].max()
    return _DepthView(depth, low, scale, float(extent) / size)


def _behind_something(surface: _Surface, view: _DepthView, settings: UnwrapSettings) -> Tensor:
    """True where another part of the head is in front."""
    foremost = view.at(surface.pixels, view.depth)
    # One buffer pixel of a slanted surface spans this much depth.
    slope = (1 - surface.facing.square()).clamp_min(0).sqrt() / surface.facing.clamp_min(0.1)
    behind = surface.pixels[:, 2] > foremost + settings.depth_bias + slope * view.pixel_mm
    return behind & (foremost > 0)


def _inside_outline(surface: _Surface, view: _DepthView) -> Tensor:
    """Distance (mm across the view) of each texel to the outline of the head, by widening what is outside.

    The distance is the larger of its horizontal and vertical part: of two ways out, the shorter counts.
    """
    outside = (view.depth <= 0).to(view.depth.dtype)[None, None]
    rows, columns = (-side % INSIDE_POOL for side in outside.shape[-2:])
    outside = functional.pad(outside, (0, columns, 0, rows), value=1.0)
    outside = functional.pad(functional.max_pool2d(outside, INSIDE_POOL), (1, 1, 1, 1), value=1.0)
    step = INSIDE_POOL * view.pixel_mm
    distance = torch.zeros_like(outside)
    for _ in range(int(INSIDE_REACH / step)):
        distance += step * (1 - outside)
        outside = functional.max_pool2d(outside, 3, 1, 1)
    distance = distance[0, 0, 1:-1, 1:-1].repeat_interleave(INSIDE_POOL, 0).repeat_interleave(INSIDE_POOL, 1)
    height, width = view.depth.shape
    return view.at(surface.pixels, distance[:height, :width])


def _inside(pixels: Tensor, depth: Tensor, size: tuple[int, int], border: float) -> Tensor:
    height, width = size
    x, y = pixels[:, 0], pixels[:, 1]
    margin = torch.minimum(torch.minimum(x, width - x), torch.minimum(y, height - y))
    return (margin / border).clamp(0, 1) * (depth > 0)


def _feathered(chart: UvChart, front: UvChart, seen: Tensor, feather: float) -> Tensor:
    """Factors that fall to 0 inside the seen area towards what is hidden; chart borders hide nothing."""
    ones = chart.weights.new_ones(len(chart.texel), 1)
    covered = chart.scatter(ones).permute(2, 0, 1)[None]
    visible = front.scatter(seen[:, None].to(ones.dtype)).permute(2, 0, 1)[None]
    coarse, weight = shrink(visible, covered, 4)
    share = blur(coarse, max(1, round(chart.size * feather / 4)), weight)
    share = enlarge(share, 4, visible.shape[-2:])
    return ((share.reshape(-1)[front.texel] - 0.5) * 2).clamp(0, 1) * seen


def _sampled(photo: Tensor, pixels: Tensor, wanted: Tensor) -> tuple[Tensor, float]:
    """Linear colours of the photo, no finer than the texels, at the wanted pixels; pixels to a texel."""
    color = torch.zeros(len(pixels), 3, dtype=photo.dtype, device=photo.device)
    if not bool(wanted.any()):
        return color, 0.0
    chosen = pixels[wanted]
    low = (chosen.amin(0).floor().long() - 2).clamp_min(0)
    high = (chosen.amax(0).ceil().long() + 2).tolist()
    crop = linear_from_srgb(photo[:, int(low[1]) : high[1], int(low[0]) : high[0]])[None]
    # Pixels that a texel spans, from the box of what is seen (an over-estimate by the empty corners).
    span = (float((chosen.amax(0) - chosen.amin(0)).prod()) / len(chosen)) ** 0.5
    factor = max(1, int(0.8 * span))
    if factor > 1:
        crop = functional.avg_pool2d(crop, factor, ceil_mode=True)
    color[wanted] = sample_bilinear(crop, ((chosen - low) / factor)[None])[0]
    return color, span


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
            highlight = shade_specular(intensity, normals, points, bulb, illumination.shininess)[0]
            if illumination.albedo is not None:
                skin = chart.gather(illumination.albedo)
                highlight = highlight * _share_of_highlight(color, highlight, shading, skin)
            color = color - highlight
    known = confidence > 0.5
    typical = shading[known if bool(known.any()) else confidence >= 0].median(0).values.clamp_min(1e-3)
    trust = smoothstep(luminance(shading) / luminance(typical), settings.shading_trust)
    return color.clamp_min(0) / torch.maximum(shading, typical * settings.shading_floor), trust


def _share_of_highlight(color: Tensor, highlight: Tensor, shading: Tensor, skin: Tensor) -> Tensor:
    """How much of a fitted highlight (0 to 1) a texel can have had.

    A highlight has the colour of the light. Where more of it is taken off than was there, what is left is too
    colourful for skin, blue first, and in a grey photo too dark.
    """
    left, taken = (each / shading.clamp_min(1e-3) for each in (color, highlight))
    least = LEAST_BLUE * (skin[:, 2:] + 1e-3) / (skin[:, :1] + 1e-3)
    room, spent = (each[:, 2:] - least * each[:, :1] for each in (left, taken))
    share = torch.where(spent > 0, room / spent.clamp_min(1e-6), 1.0).clamp(0, 1)
    brightest = MOST_HIGHLIGHT * luminance(color) / luminance(highlight).clamp_min(1e-6)
    return torch.minimum(share, brightest[:, None])


def _gain(samples: UvSamples, reference: UvSamples) -> Tensor:
    """Colour factor (3) that brings samples to the level of the reference where both are sure."""
    both = (samples.confidence * reference.confidence)[..., 0] > 0.25
    if int(both.sum()) < 64:
        return torch.ones(3, dtype=samples.color.dtype, device=samples.color.device)
    ratio = (reference.color[both] + 0.02) / (samples.color[both] + 0.02)
    return ratio.median(0).values.clamp(0.5, 2)
