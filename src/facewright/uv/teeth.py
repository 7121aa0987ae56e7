"""Teeth one by one: on the model's smooth band a map draws where each ends and where the gum begins."""

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial import ConvexHull
from torch import Tensor

from facewright.image.color import luminance
from facewright.models.face_model import FaceModel
from facewright.uv.chart import UvChart
from facewright.uv.unwrap import UvSamples

# Of the texels by which a photo's teeth are judged; their brightness, that of unseen ones, and the share of
# texels that are darker than a tooth.
LEAST_SURE, LEAST_TEXELS = 0.02, 30
BRIGHTNESS, UNSEEN, TOOTH = (0.3, 1.1), 0.4, 0.75


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


def shown_brightness(
    chart: UvChart, model: FaceModel, samples: UvSamples, albedo: Float[Tensor, "S S 3"]
) -> float:
    """How bright a photo shows the teeth, as a share of the map's: lips and lack of light darken them.

    Where a photo shows no teeth, what little is seen of them between the lips is dark.

    Args:
        chart: of the model.
        model: whose teeth they are.
        samples: what the photo says about the map.
        albedo: map, linear RGB, row 0 is v = 1.
    """
    own = torch.zeros(len(chart.texel), dtype=torch.bool, device=chart.texel.device)
    for arch in ARCHES:
        if arch.part in model.parts:
            own |= model.parts[arch.part][chart.corners].all(1)
    texel = chart.texel[own]
    texel = texel[samples.confidence.reshape(-1)[texel] > LEAST_SURE]
    if len(texel) < LEAST_TEXELS:
        return UNSEEN
    seen, plain = (luminance(colors.reshape(-1, 3)[texel]) for colors in (samples.color, albedo))
    # Lips that lie on some of the teeth, where the fit is off by a pixel, are darker than these.
    return float((seen / plain.clamp_min(1e-3)).quantile(TOOTH).clamp(*BRIGHTNESS))


def draw_teeth(
    chart: UvChart, model: FaceModel, albedo: Float[Tensor, "S S 3"], brightness: float = 1.0
) -> Float[Tensor, "S S 3"]:
    """The map with teeth drawn on it; as it was where the model has none.

    Args:
        chart: of the model.
        model: whose teeth they are.
        albedo: map, linear RGB, row 0 is v = 1.
        brightness: of the teeth, as a share of the map's.
    """
    result = albedo.reshape(-1, 3).clone()
    for arch in ARCHES:
        if arch.part not in model.parts:
            continue
        own = model.parts[arch.part][chart.corners].all(1)
        points = chart.gather(model.mean)[own].double().cpu().numpy()
        teeth = model.mean[model.parts[arch.part]].double().cpu().numpy()
        if len(points) == 0:
            continue
        light, gum = _drawn(points, teeth, arch)
        texel = chart.texel[own]
        colour = result[texel] * torch.from_numpy(light).to(result)[:, None]
        # Deep in the mouth the gum is as dark as the teeth there.
        own_gum = (
            result.new_tensor(GUM) * result[texel].mean(1, keepdim=True) / result[texel].max().clamp_min(1e-6)
        )
        drawn = torch.lerp(colour, own_gum, torch.from_numpy(gum).to(result)[:, None])
        result[texel] = drawn * brightness
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
