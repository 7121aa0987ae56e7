"""The albedo map of one person from photos and the fitted head: unwrap, blend, complete."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.core.errors import InputError
from facewright.image.color import luminance
from facewright.image.cover import Cover
from facewright.models.face_model import FaceModel
from facewright.scene.parameters import HeadParameters
from facewright.uv.bake import bake
from facewright.uv.belief import BeliefSettings, believed
from facewright.uv.chart import UvChart
from facewright.uv.chroma import calm_chroma, is_grey, without_color
from facewright.uv.complete import CompletionSettings, complete
from facewright.uv.detail import DetailSettings, continue_detail
from facewright.uv.head_chart import HeadChart
from facewright.uv.iris import draw_irises, likely_iris, seen_iris, whitened
from facewright.uv.landmark_shift import landmark_shift
from facewright.uv.teeth import draw_teeth, likely_brightness, shown_brightness
from facewright.uv.unwrap import Illumination, SampleBlend, Sight, UnwrapSettings, UvSamples, unwrap

LEAST_WHITE = 0.12  # luminance of the model's eyeballs that is no iris
BRIGHTEST_WHITE = 1.15  # times the model's white


@dataclass(frozen=True)
class TextureSettings:
    """How the albedo map is made.

    Attributes:
        size: texels along each side.
        scalp: how far photos are trusted on the scalp: what they show there is mostly hair or a hat.
        eyes: how far photos are trusted on the eyeballs.
        belief: what is taken for the head's own skin.
        chroma: pixels of the photo over which colour (not brightness) is averaged.
        unwrap: how far photos are trusted in general.
        completion: how hidden texels are made up.
        detail: how the detail of seen skin is continued.
    """

    size: int = 1024
    scalp: float = 1.0
    eyes: float = 0.9
    belief: BeliefSettings = field(default_factory=BeliefSettings)
    chroma: float = 3.0
    unwrap: UnwrapSettings = field(default_factory=UnwrapSettings)
    completion: CompletionSettings = field(default_factory=CompletionSettings)
    detail: DetailSettings = field(default_factory=DetailSettings)


def head_texture(
    model: FaceModel,
    photos: Sequence[Float[Tensor, "3 _ _"]],
    fits: Sequence[HeadParameters],
    *,
    chart: HeadChart | None = None,
    settings: TextureSettings = TextureSettings(),
    covers: Sequence[Cover] | None = None,
    besides: Sequence[Cover] | None = None,
    detected: Sequence[Float[Tensor, "478 2"]] | None = None,
) -> Float[Tensor, "S S 3"]:
    """Albedo map (linear RGB, row 0 is v = 1) of one person.

    Args:
        model: the face model of the fits.
        photos: sRGB photos of the person.
        fits: the parameters of each photo, B = 1; those of the first give the model's albedo.
            Grey photos are left out where there are photos in colour; the map is grey if all are.
        chart: ``HeadChart.of(model, settings.size)`` if at hand; made here otherwise.
        settings: how the map is made.
        covers: what lies before the head in each photo, which is not painted on its face; None: nothing.
        besides: where the background is seen beside the head in each photo; None: not known.
        detected: landmarks seen in each photo, px: the photo's lips and lids go where the fit has its own.
            None: the fit is taken to lie on the photo to the pixel.

    Raises:
        InputError: not one fit a photo, none at all, or a chart of another size.
    """
    if len(photos) != len(fits) or not photos:
        raise InputError(f"expected one fit a photo, got {len(fits)} for {len(photos)} photos.")
    if chart is None:
        chart = HeadChart.of(model, settings.size)
    elif chart.chart.size != settings.size:
        raise InputError(
            f"the chart has {chart.chart.size} texels a side, the settings ask for {settings.size}."
        )
    model_map = bake(chart.chart, model.diffuse_albedo(fits[0].diffuse)[0], gutter=False)  # filled at the end
    colored, grey, teeth, irises = SampleBlend(), SampleBlend(), 0.0, []
    for row, (photo, fit) in enumerate(zip(photos, fits, strict=True)):  # a map a photo takes 20 MB
        cover = None if covers is None else covers[row]
        shift = None if detected is None else landmark_shift(model, fit, detected[row])
        sight = Sight(cover, shift, None if besides is None else besides[row])
        samples = unwrap_photo(model, chart.chart, photo, fit, settings=settings, sight=sight)
        teeth = max(teeth, shown_brightness(chart.teeth, samples, model_map))
        if not is_grey(samples):
            if detected is not None:
                irises.append(seen_iris(model, photo, fit, detected[row], cover))
            colored.add(_own_skin(samples, model_map, chart, settings))
        elif not colored.count:
            grey.add(_own_skin(without_color(samples), _grey(model_map), chart, settings))
    teeth = likely_brightness(chart.teeth, model_map, chart.face, teeth)
    model_map = draw_teeth(chart.teeth, model_map, teeth)
    seen = [iris for iris in irises if iris is not None]
    surest = max(seen, key=lambda iris: iris.radius).albedo if seen else likely_iris(model_map, chart.face)
    model_map = draw_irises(chart.irises, model_map, surest)
    if not colored.count:
        model_map = _grey(model_map)
    samples = (colored if colored.count else grey).result()
    trust = chart.face + chart.rim + chart.scalp * settings.scalp + chart.eyes * settings.eyes
    samples = replace(samples, confidence=samples.confidence * trust.clamp(max=1))
    white = chart.eyes * (luminance(model_map)[..., None] > LEAST_WHITE)
    samples = replace(samples, color=_no_brighter(samples.color, model_map, white))
    lips = chart.lips * chart.face  # what is not seen of them has their colour, not that of the skin around
    areas = (chart.face - lips, lips, chart.rim, chart.scalp, white)  # irises have their own colour already
    hair = None if samples.covered is None else chart.scalp * samples.covered
    albedo = complete(
        chart.chart,
        samples,
        model_map,
        areas,
        mirror=chart.mirror,
        skin=chart.face + chart.rim - lips,
        hair=hair,
        settings=settings.completion,
    )
    albedo = whitened(albedo, model_map, white)
    return continue_detail(chart, albedo, samples, settings.detail)


def _grey(model_map: Float[Tensor, "S S 3"]) -> Float[Tensor, "S S 3"]:
    """Honest grey: a grey photo does not tell the colour of skin, so none is made up."""
    return luminance(model_map)[..., None].expand(-1, -1, 3).contiguous()


def _no_brighter(color: Tensor, model_map: Tensor, white: Tensor) -> Tensor:
    """Lids and highlights that a fit lays on the white of an eye are no part of it."""
    return torch.where(white > 0.5, torch.minimum(color, BRIGHTEST_WHITE * model_map), color)


def _own_skin(
    samples: UvSamples, model_map: Float[Tensor, "S S 3"], chart: HeadChart, settings: TextureSettings
) -> UvSamples:
    # Belief first: the colour of background or teeth must not run into the skin beside them.
    skin = believed(samples, model_map, chart, settings.belief)
    return calm_chroma(skin, model_map, chart, settings.chroma)


def unwrap_photo(
    model: FaceModel,
    chart: UvChart,
    photo: Float[Tensor, "3 H W"],
    parameters: HeadParameters,
    *,
    settings: TextureSettings = TextureSettings(),
    sight: Sight | None = None,
    vertices: Float[Tensor, "V 3"] | None = None,
) -> UvSamples:
    """What one photo says about the map, with the fitted light divided out.

    Args:
        model: the face model of the parameters.
        chart: chart of the model's topology.
        photo: sRGB.
        parameters: the fit, B = 1.
        settings: how the map is made.
        sight: what else is known of the photo.
        vertices: mm, head frame, where they are not the fitted head's.

    Raises:
        InputError: the camera's size is not the photo's.
    """
    if vertices is None:
        vertices = model.vertices(parameters.identity, parameters.expression)[0]
    illumination = Illumination(
        parameters.light,
        parameters.point_light,
        model.specular_albedo(parameters.specular)[0] if parameters.point_light is not None else None,
        float(parameters.exponent),
        model.diffuse_albedo(parameters.diffuse)[0],
    )
    return unwrap(
        chart,
        photo,
        parameters.pose.camera_from_head(vertices[None])[0],
        model.topology,
        parameters.camera,
        illumination=illumination,
        settings=settings.unwrap,
        sight=sight or Sight(),
    )
