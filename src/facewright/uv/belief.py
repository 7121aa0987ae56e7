"""Which texels of a photo show the head's own skin: not background, hair, cloth, glare or an open mouth.

A fitted head does not lie on the photo to the pixel. Near its outline the photo may show what is behind or
before it, and around a mouth that the fit takes for closed, teeth.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import max_pool2d

from facewright.image.cover import SURE as COVERED
from facewright.image.pyramid import enlarge
from facewright.image.smoothstep import smoothstep
from facewright.uv.complete import OFFSET
from facewright.uv.head_chart import HeadChart
from facewright.uv.unwrap import UvSamples

SURE = 0.5  # confidence of the texels whose median is the typical skin
LEAST_TEXELS = 64
BLOCK = 4  # texels


@dataclass(frozen=True)
class BeliefSettings:
    """What is taken for the head's own skin; pairs are where doubt begins and where it is complete.

    Deviations are logarithms of the ratio photo / model, from the typical skin of the face: tone is their
    mean over the channels, hue their largest difference from it.

    Attributes:
        clothing: deviations (tone and twice the hue) from which on what lies over neck and ears, or close to
            the outline, is taken for clothing, hair or background.
        head_on: confidences from which on the face need not look like skin to be believed...
        outline: ... if it lies this far (mm) inside the outline of the head.
        hue: deviations in hue that no skin has, unless it is
        deep: this far (mm) inside the outline.
        glare: tones that are too bright for the face anywhere.
        teeth: how much whiter than lips a texel of the lips may be...
        teeth_tone: ... if its tone is this much brighter.
        covered: probabilities that something (hair, glasses, a hand) lies before the skin or the eyes; the
            scalp takes what is there.
        surely: probabilities of anything but the head up to which the face need not look like skin either: a
            beard, a shadow; and from which on it is as if they were not known.
        fringe: width around what is covered, as a fraction of the map, that is taken for covered too: tips of
            hair and frames of glasses are finer than the pixels that were judged.
        cavity: deviations (of the brightest channel, since lipstick keeps its red) too dark for lips.
    """

    clothing: tuple[float, float] = (0.5, 1.0)
    head_on: tuple[float, float] = (0.3, 0.8)
    outline: tuple[float, float] = (5.0, 20.0)
    hue: tuple[float, float] = (0.7, 1.1)
    deep: tuple[float, float] = (25.0, 50.0)
    glare: tuple[float, float] = (0.5, 0.9)
    teeth: tuple[float, float] = (0.25, 0.5)
    teeth_tone: tuple[float, float] = (0.1, 0.3)
    surely: tuple[float, float] = (0.06, 0.15)
    fringe: float = 1 / 100
    cavity: tuple[float, float] = (0.9, 1.4)
    covered: tuple[float, float] = COVERED


def believed(
    samples: UvSamples,
    model_map: Float[Tensor, "S S 3"],
    chart: HeadChart,
    settings: BeliefSettings = BeliefSettings(),
) -> UvSamples:
    """The samples of one photo, with less confidence where they are hardly skin of this head.

    Args:
        samples: from ``unwrap``.
        model_map: the model's albedo, linear RGB.
        chart: of the head.
        settings: what is taken for skin.
    """
    ratio = ((samples.color + OFFSET) / (model_map + OFFSET)).log()
    seen = (samples.confidence > SURE)[..., 0]
    for area in (chart.middle, chart.face):
        sure = seen & (area > SURE)[..., 0]
        if int(sure.sum()) >= LEAST_TEXELS:
            break
    else:
        return samples
    typical = ratio[sure].median(0).values
    deviation = ratio - typical
    tone = deviation.mean(-1, keepdim=True)
    hue = (deviation - tone).abs().amax(-1, keepdim=True)
    # Shadow under the chin changes the tone; cloth mostly the hue as well.
    likeness = 1 - smoothstep(tone.abs() + 2 * hue, settings.clothing)
    face = smoothstep(samples.confidence, settings.head_on)
    painted = chart.lips * (deviation[..., :1] >= deviation.amax(-1, keepdim=True))  # redder: lipstick
    alien = smoothstep(hue, settings.hue) * (1 - painted)
    if samples.inside is not None:
        face = face * smoothstep(samples.inside, settings.outline)
        alien = alien * (1 - smoothstep(samples.inside, settings.deep))
    shown = 1.0
    if samples.covered is not None and samples.beside is not None:
        face = torch.maximum(face, 1 - smoothstep(samples.covered + samples.beside, settings.surely))
        shown = 1 - smoothstep(samples.beside, settings.covered)
    # Skin where the model has a brow is no glare.
    skin = torch.maximum(model_map, model_map[sure].median(0).values)
    bright = ((samples.color + OFFSET) / (skin + OFFSET)).log() - typical
    glare = smoothstep(bright.mean(-1, keepdim=True), settings.glare)
    face = torch.maximum(likeness, face) * (1 - alien) * (1 - glare)
    face = face * (1 - chart.lips * _inner_mouth(deviation, tone, settings))
    skin = chart.face * face + chart.rim * likeness + chart.eyes
    if samples.covered is not None:
        covered = _widened(samples.covered, round(settings.fringe * chart.chart.size))
        covered = torch.lerp(covered, samples.covered, chart.lips)  # lips border on the inside of the mouth
        skin = skin * (1 - smoothstep(covered, settings.covered))
    trust = (skin + chart.scalp) * shown  # hair belongs on the scalp
    confidence = samples.confidence * trust.clamp(max=1)
    return replace(samples, confidence=confidence)


def _widened(values: Float[Tensor, "S S 1"], texels: int) -> Float[Tensor, "S S 1"]:
    """The largest value so many texels around, by blocks."""
    if texels == 0:
        return values
    planes, blocks = values.permute(2, 0, 1)[None], max(1, round(texels / BLOCK))
    coarse = max_pool2d(planes, BLOCK, ceil_mode=True)
    coarse = max_pool2d(coarse, 2 * blocks + 1, 1, blocks)
    return torch.maximum(enlarge(coarse, BLOCK, planes.shape[-2:])[0].permute(1, 2, 0), values)


def _inner_mouth(
    deviation: Float[Tensor, "S S 3"], tone: Float[Tensor, "S S 1"], settings: BeliefSettings
) -> Float[Tensor, "S S 1"]:
    """1 where the lips look like teeth or like the dark between them."""
    white = torch.minimum(deviation[..., 1:2], deviation[..., 2:]) - deviation[..., :1]
    teeth = smoothstep(white, settings.teeth) * smoothstep(tone, settings.teeth_tone)
    return torch.maximum(teeth, smoothstep(-deviation.amax(-1, keepdim=True), settings.cavity))
