"""The albedo map of one person from photos and the fitted head: unwrap, blend, complete."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.core.errors import InputError
from facewright.models.face_model import FaceModel
from facewright.scene.parameters import HeadParameters
from facewright.uv.bake import bake
from facewright.uv.chart import UvChart, mirrored_texels
from facewright.uv.complete import OFFSET, CompletionSettings, complete
from facewright.uv.unwrap import (
    Illumination,
    UnwrapSettings,
    UvSamples,
    blend_samples,
    smoothstep,
    unwrap,
)

# Lining that photos hardly show and that shadow would colour wrongly.
HIDDEN_REGIONS = ("inner_mouth", "eye_sockets")
RIM_REGIONS = ("neck", "ear_left", "ear_right")


@dataclass(frozen=True)
class TextureSettings:
    """How the albedo map is made.

    Attributes:
        size: texels along each side.
        scalp: how far photos are trusted on the scalp: what they show there is mostly hair or a hat.
        eyes: how far photos are trusted on the eyeballs.
        clothing: deviations (log ratio, from the typical skin of the face) from which on what lies over neck
            and ears is taken for clothing, hair or background, and surely so.
        head_on: confidences from which on the face need not look like skin to be believed.
        shininess: Blinn-Phong exponent of the skin where a point light was fitted.
        unwrap: how far photos are trusted in general.
        completion: how hidden texels are made up.
    """

    size: int = 1024
    scalp: float = 1.0
    eyes: float = 0.9
    clothing: tuple[float, float] = (0.5, 1.0)
    head_on: tuple[float, float] = (0.3, 0.8)
    shininess: float = 20.0
    unwrap: UnwrapSettings = field(default_factory=UnwrapSettings)
    completion: CompletionSettings = field(default_factory=CompletionSettings)


@dataclass(frozen=True)
class HeadChart:
    """What the texture maps of all heads of one model share; make it once.

    Attributes:
        chart: where each texel lies on the mesh.
        mirror: the texel of the left-right counterpart, -1 where none.
        face: mask of the skin of the face.
        rim: mask of the skin that clothes and hair often cover and background lies close to: neck and ears.
        scalp: mask of the skin that hair grows on.
        eyes: mask of the eyeballs.
    """

    chart: UvChart
    mirror: Int64[Tensor, " N"]
    face: Float[Tensor, "S S 1"]
    rim: Float[Tensor, "S S 1"]
    scalp: Float[Tensor, "S S 1"]
    eyes: Float[Tensor, "S S 1"]

    @classmethod
    def of(cls, model: FaceModel, size: int = 1024) -> "HeadChart":
        """Rasterise the chart of a model and the masks of its areas.

        Raises:
            InputError: the size is not one of a map.
        """
        chart = UvChart.of(model.topology, size)
        masks = torch.stack(_area_masks(model), dim=1).to(model.mean.dtype)
        face, rim, scalp, eyes = bake(chart, masks, gutter=False).split(1, dim=-1)
        return cls(chart, mirrored_texels(chart, model.topology, model.mirror), face, rim, scalp, eyes)


def head_texture(
    model: FaceModel,
    photos: Sequence[Float[Tensor, "3 _ _"]],
    fits: Sequence[HeadParameters],
    *,
    chart: HeadChart | None = None,
    settings: TextureSettings = TextureSettings(),
) -> Float[Tensor, "S S 3"]:
    """Albedo map (linear RGB, row 0 is v = 1) of one person.

    Args:
        model: the face model of the fits.
        photos: sRGB photos of the person.
        fits: the parameters of each photo, B = 1; those of the first give the model's albedo.
        chart: ``HeadChart.of(model, settings.size)`` if at hand; made here otherwise.
        settings: how the map is made.

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
    pairs = zip(photos, fits, strict=True)
    seen = [unwrap_photo(model, chart.chart, photo, fit, settings=settings) for photo, fit in pairs]
    samples = blend_samples(seen)
    model_map = bake(chart.chart, model.diffuse_albedo(fits[0].diffuse)[0])
    areas = (chart.face, chart.rim, chart.scalp, chart.eyes)
    likeness = _skin_likeness(samples, model_map, chart.face, settings)
    # Seen at a grazing angle, only what looks like skin is skin of the face: collars and hair lie near.
    head_on = smoothstep(samples.confidence, settings.head_on)
    trust = chart.face * torch.maximum(likeness, head_on) + chart.rim * likeness
    trust = trust + chart.scalp * settings.scalp + chart.eyes * settings.eyes
    samples = UvSamples(samples.color, samples.confidence * trust.clamp(max=1))
    return complete(chart.chart, samples, model_map, areas, mirror=chart.mirror, settings=settings.completion)


def unwrap_photo(
    model: FaceModel,
    chart: UvChart,
    photo: Float[Tensor, "3 H W"],
    parameters: HeadParameters,
    *,
    settings: TextureSettings = TextureSettings(),
) -> UvSamples:
    """What one photo says about the map, with the fitted light divided out.

    Args:
        model: the face model of the parameters.
        chart: chart of the model's topology.
        photo: sRGB.
        parameters: the fit, B = 1.
        settings: how the map is made.

    Raises:
        InputError: the camera's size is not the photo's.
    """
    vertices = model.vertices(parameters.identity, parameters.expression)
    illumination = Illumination(
        parameters.light,
        parameters.point_light,
        model.specular_albedo(parameters.specular)[0] if parameters.point_light is not None else None,
        settings.shininess,
    )
    return unwrap(
        chart,
        photo,
        parameters.pose.camera_from_head(vertices)[0],
        model.topology,
        parameters.camera,
        illumination=illumination,
        settings=settings.unwrap,
    )


def _area_masks(model: FaceModel) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Vertices of the face, of neck and ears, scalp, eyeballs; a model without such regions is all face."""
    nothing = torch.zeros_like(model.mirror, dtype=torch.bool)
    usable = model.parts.get("skin", ~nothing)
    for name in HIDDEN_REGIONS:
        usable = usable & ~model.regions.get(name, nothing)
    rim = torch.stack([model.regions.get(name, nothing) for name in RIM_REGIONS]).any(0)
    scalp = model.regions.get("scalp", nothing)
    rim = (rim | scalp & _before_and_below_the_ears(model)) & usable
    scalp = scalp & usable & ~rim
    eyes = model.parts.get("left_eye", nothing) | model.parts.get("right_eye", nothing)
    return usable & ~rim & ~scalp & ~eyes, rim, scalp, eyes


def _before_and_below_the_ears(model: FaceModel) -> Tensor:
    """Vertices of cheek and jaw: what a scalp mask has there, hair of the head does not grow on."""
    ears = [model.regions[name] for name in ("ear_left", "ear_right") if name in model.regions]
    middle = model.mean[torch.stack(ears).any(0)] if ears else model.mean[:0]
    if len(middle) == 0:
        return torch.zeros_like(model.mirror, dtype=torch.bool)
    _, height, depth = middle.mean(0)
    return (model.mean[:, 1] < height) & (model.mean[:, 2] > depth)


def _skin_likeness(samples: UvSamples, model_map: Tensor, face: Tensor, settings: TextureSettings) -> Tensor:
    """1 where the samples look like the skin of the face (relative to the model), 0 where like cloth."""
    ratio = ((samples.color + OFFSET) / (model_map + OFFSET)).log()
    sure = ((samples.confidence > 0.5) & (face > 0.5))[..., 0]
    if not bool(sure.any()):
        return torch.ones_like(face)
    deviation = ratio - ratio[sure].median(0).values
    tone = deviation.mean(-1, keepdim=True)
    # Shadow under the chin changes the tone; cloth mostly the hue as well.
    hue = (deviation - tone).abs().amax(-1, keepdim=True)
    return 1 - smoothstep(tone.abs() + 2 * hue, settings.clothing)
