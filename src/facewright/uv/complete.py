"""A whole texture map from what photos show of it: mirrored skin, then the model's albedo, without a seam.

All blending happens in the logarithm of the ratio photo / model, so that the model's own pattern (brows,
lips) stays in place while colour and brightness pass smoothly from the photo into what it does not show.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import avg_pool2d

from facewright.core.errors import InputError
from facewright.image.pyramid import blur, enlarge, planes, push_pull, shrink
from facewright.image.smoothstep import smoothstep
from facewright.uv.bake import fill_gutter
from facewright.uv.chart import UvChart
from facewright.uv.unwrap import UvSamples

LEAST_BLOCKS = 32  # seen blocks that make a median
LEAST_BARE = 0.01  # of what lies around, that bare skin goes on there
OFFSET = 0.02  # added to linear colours before the logarithm, so that black is finite


@dataclass(frozen=True)
class CompletionSettings:
    """How hidden texels are made up.

    Attributes:
        mirror: trust in a texel of the other half of the face, relative to the texel itself.
        doubt: differences (log ratio) from the other half of the face, where that was seen better, from which
            on a texel is believed less, and not at all.
        highlight: a texel brighter than its surroundings by more than this (log ratio) is damped...
        highlight_gain: ... its excess is multiplied by this.
        even: of the differences in colour between what is hardly seen of the skin and the face's median, the
            part that is taken out...
        hardly: ... where the confidence lies between these; detail stays. Towards the outline a fitted light
            errs most, and what it leaves in the skin would be carried over ears and neck.
        wide: half width of the mean that holds no detail, as a fraction of the map.
        unlike: differences (log ratio) of brightness from the face's from which on what is seen of the skin
            is carried over less, and not at all.
        coarse: texels a side of the blocks in which colour is carried into hidden areas.
        border: half width in blocks of the soft border between areas.
        reach: how strongly, per block, hidden areas far from anything seen fall back to the area's median.
        largest: largest log ratio between photo and model that is believed.
    """

    mirror: float = 0.85
    doubt: tuple[float, float] = (0.5, 1.0)
    highlight: float = 0.2
    highlight_gain: float = 0.4
    even: float = 0.8
    hardly: tuple[float, float] = (0.5, 1.0)
    wide: float = 1 / 48
    unlike: tuple[float, float] = (0.35, 0.8)
    coarse: int = 4
    border: int = 3
    reach: float = 1e-4
    largest: float = 3.5


def complete(
    chart: UvChart,
    samples: UvSamples,
    model_map: Float[Tensor, "S S 3"],
    areas: Sequence[Float[Tensor, "S S 1"]],
    *,
    mirror: Int64[Tensor, " N"] | None = None,
    skin: Float[Tensor, "S S 1"] | None = None,
    hair: Float[Tensor, "S S 1"] | None = None,
    settings: CompletionSettings = CompletionSettings(),
) -> Float[Tensor, "S S 3"]:
    """Fill the map.

    Args:
        chart: where each texel lies on the mesh.
        samples: albedo seen in photos, confidence 0 where they must not be used.
        model_map: the model's albedo, linear RGB.
        areas: masks in [0, 1] of areas that take on the photo's colour, each with a colour of its own where
            no photo is near (skin, scalp). Outside all of them (eyes, teeth) the model's albedo stays. The
            first is the face, whose colour those have of which no photo shows enough.
        hair: mask in [0, 1] of where photos show hair or a hat. An area of which they show enough of it has
            its colour where they show nothing, and not that of a high forehead. None: not known.
        skin: mask in [0, 1] of what has the same colour everywhere, all but; None: nothing has.
        mirror: from ``mirrored_texels``; without it hidden texels are not taken from the other half.
        settings: how hidden texels are made up.

    Returns:
        Albedo, linear RGB in [0, 1], also over the gutter.

    Raises:
        InputError: a map's size differs from the chart's.
    """
    for each in (samples.color, model_map, *areas):
        if tuple(each.shape[:2]) != (chart.size, chart.size):
            raise InputError(
                f"expected maps of {chart.size} x {chart.size} texels, got {tuple(each.shape[:2])}."
            )
    matched = torch.stack([*areas, torch.zeros_like(samples.confidence)]).sum(0).clamp(max=1)
    confidence = planes(samples.confidence * matched)
    ratio = planes(((samples.color + OFFSET) / (model_map + OFFSET)).log())
    ratio = torch.where(confidence > 0, ratio.clamp(-settings.largest, settings.largest), 0)
    ratio = _damp_highlights(ratio, confidence, settings)
    if mirror is not None:
        ratio, confidence = _with_mirrored(chart, ratio, confidence, mirror, settings)
    if skin is not None:
        ratio = _evened(ratio, confidence, planes(skin), planes(areas[0]), settings)
    ratio = torch.lerp(_carried_over(ratio, confidence, areas, hair, skin, settings), ratio, confidence)
    ratio = ratio[0].permute(1, 2, 0) * matched
    albedo = (model_map + OFFSET) * ratio.exp() - OFFSET
    return fill_gutter(chart, albedo.clamp(0, 1))


def _damp_highlights(ratio: Tensor, confidence: Tensor, settings: CompletionSettings) -> Tensor:
    """Shrink what stands out as brighter than the skin a few centimetres around it."""
    factor = 8 * settings.coarse
    around = enlarge(push_pull(*shrink(ratio, confidence, factor)), factor, ratio.shape[-2:])
    excess = (ratio - around).mean(1, keepdim=True) - settings.highlight
    return ratio - (1 - settings.highlight_gain) * excess.clamp_min(0)


def _with_mirrored(
    chart: UvChart, ratio: Tensor, confidence: Tensor, mirror: Tensor, settings: CompletionSettings
) -> tuple[Tensor, Tensor]:
    """Use the other half of the face where it was seen better, brought to this half's colour.

    The difference between the halves is known where both were seen; carried on smoothly it takes the
    step out at the border.
    """
    source = torch.full((chart.size * chart.size,), -1, dtype=torch.int64, device=mirror.device)
    source[chart.texel] = mirror
    found = (source >= 0).view(1, 1, chart.size, chart.size)
    source = source.clamp_min(0)
    other = ratio.flatten(2)[..., source].view_as(ratio)
    trust = settings.mirror * confidence.flatten(2)[..., source].view_as(confidence) * found
    worse = ((trust - confidence) / 0.5).clamp(0, 1)
    odd = smoothstep((ratio - other).abs().mean(1, keepdim=True), settings.doubt)
    confidence = confidence * (1 - worse * odd)
    factor = 2 * settings.coarse
    difference, known = shrink(ratio - other, confidence * trust, factor)
    step = push_pull(difference, (4 * known).clamp(max=1) + settings.reach)
    step = enlarge(step, factor, ratio.shape[-2:])
    # Two halves that were seen equally well would lie over one another like ghosts.
    trust = (1 - confidence) * trust * worse
    total = confidence + trust
    merged = (confidence * ratio + trust * (other + step)) / total.clamp_min(1e-6)
    return merged, total


def _evened(
    ratio: Tensor, confidence: Tensor, skin: Tensor, face: Tensor, settings: CompletionSettings
) -> Tensor:
    """Bring what is hardly seen of the skin to the colour of the face, and leave its detail."""
    sure = (confidence * face)[0, 0] > settings.hardly[1] - 0.1
    if int(sure.sum()) < LEAST_BLOCKS * settings.coarse**2:
        return ratio
    typical = ratio[0][:, sure].median(1).values[None, :, None, None]
    factor = 2 * settings.coarse
    coarse, weight = shrink(ratio, confidence * skin, factor)
    radius = max(1, round(ratio.shape[-1] * settings.wide / factor))
    known, there = shrink(confidence, skin, factor)
    # A soft border: none may be seen between what is evened and what is not.
    known = blur(known, radius, there)
    away = (blur(coarse, radius, weight) - typical) * (1 - smoothstep(known, settings.hardly))
    return ratio - settings.even * skin * enlarge(away, factor, ratio.shape[-2:])


def _around_bare(
    coarse: Tensor, bare: Tensor, hairy: Tensor, settings: CompletionSettings
) -> tuple[Tensor, Tensor]:
    """Colour of the bare skin close by, and its share (0 to 1) in what is seen there; of two sets of weights.

    Bare skin among hair goes on where a highlight hides a bit of it, and no further over the scalp.
    """
    radius, everywhere = settings.border, torch.ones_like(bare)
    near, other = (blur(each, radius, everywhere) for each in (bare, hairy))
    return blur(coarse, radius, bare), near / (near + other + LEAST_BARE)


def _unlike(coarse: Tensor, skin: Tensor, sure: Tensor, settings: CompletionSettings) -> Tensor:
    """How far (0 to 1) what is taken for skin is too dark or bright for this face's: hair, shadow, cloth."""
    if int(sure.sum()) < LEAST_BLOCKS:
        return torch.zeros_like(coarse[:, :1])
    tone = coarse.mean(1, keepdim=True)
    odd = smoothstep((tone - tone[0, 0][sure].median()).abs(), settings.unlike)
    return odd * avg_pool2d(planes(skin), settings.coarse, ceil_mode=True)


def _carried_over(
    ratio: Tensor,
    confidence: Tensor,
    areas: Sequence[Tensor],
    hair: Tensor | None,
    skin: Tensor | None,
    settings: CompletionSettings,
) -> Tensor:
    """The ratio without its detail, continued into what no photo shows, each area by itself.

    Hair goes on over the scalp and skin over the neck; where they meet unseen, the border is soft. Far from
    anything seen lies the median of the area, or of the first if too little of the area is seen.
    """
    # Squared: at the rim of what is seen, unsure texels mix in hair and background.
    coarse, weight = shrink(ratio, confidence.square(), settings.coarse)
    shown = [(weight > least)[0, 0] for least in (0.5, 0.1)]
    nowhere = torch.zeros_like(ratio[:, :1]) if hair is None else planes(hair)
    hairy = avg_pool2d(nowhere, settings.coarse, ceil_mode=True)[0, 0] > 0.5
    first = avg_pool2d(planes(areas[0]), settings.coarse, ceil_mode=True)[0, 0] > 0.5
    if skin is not None:
        weight = weight * (1 - _unlike(coarse, skin, shown[0] & first, settings))
    total, shares = torch.zeros_like(coarse), torch.full_like(weight, 1e-6)
    for area in areas:
        share = avg_pool2d(planes(area), settings.coarse, ceil_mode=True)
        inside, bare = share[0, 0] > 0.5, torch.zeros_like(hairy)
        if int((shown[-1] & inside & hairy).sum()) >= LEAST_BLOCKS:
            inside, bare = inside & hairy, inside & ~hairy
        known = weight * inside
        own = known + settings.reach
        distant = torch.zeros_like(coarse[:, :, :1, :1])
        for chosen in (*(seen & inside for seen in shown), shown[0] & first, shown[0]):
            if int(chosen.sum()) >= LEAST_BLOCKS:
                distant = coarse[0][:, chosen].median(1).values[None, :, None, None]
                break
        mixed = (coarse * known + distant * settings.reach) / own
        filled = push_pull(mixed, own)
        if bool(bare.any()):
            filled = torch.lerp(filled, *_around_bare(coarse, weight * bare, known, settings))
        soft = blur(share, settings.border, torch.ones_like(share))
        total += soft * filled
        shares += soft
    return enlarge(total / shares, settings.coarse, ratio.shape[-2:])
