"""Teeth one by one: on the model's smooth band a map draws where each ends and where the gum begins."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from scipy.spatial import ConvexHull
from torch import Tensor

from facewright.image.color import luminance
from facewright.models.face_model import FaceModel
from facewright.uv.chart import UvChart
from facewright.uv.unwrap import UvSamples

# Of the texels by which a photo's teeth are judged, and the share of them that are darker than a tooth.
LEAST_SURE, LEAST_TEXELS, TOOTH = 0.02, 30, 0.75
# Enamel is brighter than skin, by at least this; in a photo lips and lack of light darken what is seen of it.
OVER_SKIN, BRIGHTEST = 1.8, 1.1


@dataclass(frozen=True)
class Arch:
    """Teeth of one jaw.

    Attributes:
        part: of the model.
        widths: mm from the middle to the side, typical crowns of an adult; what is further back is not drawn.
        crown: mm from a tooth's edge to the gum, in its middle.
        down: +1 where the edges look down.
    """

    part: str
    widths: tuple[float, ...]
    crown: float
    down: float


ARCHES = (
    Arch("upper_teeth", (8.5, 6.6, 7.6, 7.0, 6.8, 10.0), 9.5, 1.0),
    Arch("lower_teeth", (5.3, 5.9, 6.8, 7.0, 7.2, 11.0), 8.5, -1.0),
)
GAP, GAP_SHADE = 0.45, 0.55  # mm: half width of the shade between two teeth; share of light left in it
SCALLOP, GUM_EDGE = 2.0, 0.5  # mm: how much deeper the gum reaches between teeth; its softness
GUM = (0.36, 0.13, 0.11)  # linear RGB


@dataclass(frozen=True)
class DrawnTeeth:
    """The teeth of one jaw on a map.

    Attributes:
        texel: place of each texel in the flattened map.
        light: share of light left there.
        gum: share of gum.
    """

    texel: Int64[Tensor, " N"]
    light: Float[Tensor, " N"]
    gum: Float[Tensor, " N"]


def drawn_teeth(chart: UvChart, model: FaceModel) -> tuple[DrawnTeeth, ...]:
    """The teeth of a model on its map; none where it has none."""
    found = []
    for arch in ARCHES:
        if arch.part not in model.parts:
            continue
        own = chart.where(model.parts[arch.part][chart.corners].all(1))
        points = own.gather(model.mean).double().cpu().numpy()
        if len(points) == 0:
            continue
        teeth = model.mean[model.parts[arch.part]].double().cpu().numpy()
        drawn = (torch.from_numpy(each).to(model.mean) for each in _drawn(points, teeth, arch))
        found.append(DrawnTeeth(own.texel, *drawn))
    return tuple(found)


def shown_brightness(
    teeth: Sequence[DrawnTeeth], samples: UvSamples, albedo: Float[Tensor, "S S 3"]
) -> float:
    """How bright a photo shows the teeth, as a share of the map's; 0 if it shows none.

    Args:
        teeth: on the map.
        samples: what the photo says about the map.
        albedo: map, linear RGB, row 0 is v = 1.
    """
    texel = _texels(teeth)
    texel = texel[samples.confidence.reshape(-1)[texel] > LEAST_SURE]
    if len(texel) < LEAST_TEXELS:
        return 0.0
    seen, plain = (luminance(colors.reshape(-1, 3)[texel]) for colors in (samples.color, albedo))
    # Lips that lie on some of the teeth, where the fit is off by a pixel, are darker than these.
    return float((seen / plain.clamp_min(1e-3)).quantile(TOOTH))


def likely_brightness(
    teeth: Sequence[DrawnTeeth], albedo: Float[Tensor, "S S 3"], skin: Float[Tensor, "S S 1"], shown: float
) -> float:
    """How bright teeth are as a share of the map's: as they were shown, but never as dark as skin.

    Args:
        teeth: on the map.
        albedo: map, linear RGB, row 0 is v = 1.
        skin: mask of the face.
        shown: by photos.
    """
    texel, face = _texels(teeth), luminance(albedo)[skin[..., 0] > 0.5]
    if len(texel) == 0 or len(face) == 0:
        return 1.0
    front = float(luminance(albedo.reshape(-1, 3)[texel]).max())  # behind it the map is dark
    return min(max(shown, OVER_SKIN * float(face.median()) / max(front, 1e-3)), BRIGHTEST)


def _texels(teeth: Sequence[DrawnTeeth]) -> Int64[Tensor, " N"]:
    return torch.cat([each.texel for each in teeth]) if teeth else torch.zeros(0, dtype=torch.int64)


def draw_teeth(
    teeth: Sequence[DrawnTeeth], albedo: Float[Tensor, "S S 3"], brightness: float = 1.0
) -> Float[Tensor, "S S 3"]:
    """The map with teeth drawn on it.

    Args:
        teeth: on the map.
        albedo: map, linear RGB, row 0 is v = 1.
        brightness: of the teeth, as a share of the map's.
    """
    result = albedo.reshape(-1, 3).clone()
    for each in teeth:
        plain = result[each.texel]
        # Deep in the mouth the gum is as dark as the teeth there.
        gum = result.new_tensor(GUM) * plain.mean(1, keepdim=True) / plain.max().clamp_min(1e-6)
        result[each.texel] = torch.lerp(plain * each.light[:, None], gum, each.gum[:, None]) * brightness
    return result.view_as(albedo)


def _drawn(
    points: Float[ndarray, "N 3"], teeth: Float[ndarray, "T 3"], arch: Arch
) -> tuple[Float[ndarray, " N"], Float[ndarray, " N"]]:
    """Share of light and share of gum at each point."""
    along = abs(_along(points[:, [0, 2]], teeth[:, [0, 2]]))
    ends = np.array([0.0, *accumulate(arch.widths)])
    tooth = np.clip(np.searchsorted(ends, along, side="right") - 1, 0, len(arch.widths) - 1)
    drawn = along < ends[-1]
    middle, half = 0.5 * (ends[tooth] + ends[tooth + 1]), 0.5 * np.array(arch.widths)[tooth]
    across = np.where(
        drawn, np.clip(abs(along - middle) / half, 0.0, 1.0), 0.0
    )  # 0 in its middle, 1 at its ends
    shade = np.exp(-(((1.0 - across) * half / GAP) ** 2)) * drawn
    height = arch.down * points[:, 1] - _edge(along, teeth, arch)
    gum = np.clip((height - arch.crown + SCALLOP * across**2) / GUM_EDGE + 0.5, 0.0, 1.0)
    return 1.0 - (1.0 - GAP_SHADE) * shade, gum


def _edge(along: Float[ndarray, " N"], teeth: Float[ndarray, "T 3"], arch: Arch) -> Float[ndarray, " N"]:
    """Height of the teeth's edges, counted from them to the gum, at places along the arch."""
    place, height = abs(_along(teeth[:, [0, 2]], teeth[:, [0, 2]])), arch.down * teeth[:, 1]
    steps = np.arange(0.0, place.max() + 4.0, 4.0)
    lowest = np.array([height[abs(place - step) <= 6.0].min(initial=height.max()) for step in steps])
    return np.interp(along, steps, lowest)


def _along(points: Float[ndarray, "N 2"], teeth: Float[ndarray, "T 2"]) -> Float[ndarray, " N"]:
    """Way along the arch in mm from the middle, of points (x, z); negative on the subject's right."""
    hull = teeth[ConvexHull(teeth).vertices]
    centre = np.array([0.0, 0.5 * (hull[:, 1].min() + hull[:, 1].max())])
    front = hull[hull[:, 1] > hull[:, 1].min() + 1.0]
    angle = np.arctan2(front[:, 0], front[:, 1] - centre[1])
    order = np.argsort(angle)
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(front[order], axis=0), axis=1))])
    middle = np.interp(0.0, angle[order], way)
    return np.interp(np.arctan2(points[:, 0], points[:, 1] - centre[1]), angle[order], way) - middle
