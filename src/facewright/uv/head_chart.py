"""What the texture maps of all heads of one model share: chart, mirror images and areas."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.models.face_model import FaceModel
from facewright.uv.bake import bake
from facewright.uv.chart import UvChart, mirrored_texels

# Lining that photos hardly show and that shadow would colour wrongly.
HIDDEN_REGIONS = ("inner_mouth", "eye_sockets")
MIDDLE_REGIONS = ("nose", "cheek_left", "cheek_right")
RIM_REGIONS = ("neck", "ear_left", "ear_right")


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
        lips: mask of the lips, which are part of the face.
        middle: mask of nose and cheeks, the part of the face that hair and beard cover least.
    """

    chart: UvChart
    mirror: Int64[Tensor, " N"]
    face: Float[Tensor, "S S 1"]
    rim: Float[Tensor, "S S 1"]
    scalp: Float[Tensor, "S S 1"]
    eyes: Float[Tensor, "S S 1"]
    lips: Float[Tensor, "S S 1"]
    middle: Float[Tensor, "S S 1"]

    @classmethod
    def of(cls, model: FaceModel, size: int = 1024) -> "HeadChart":
        """Rasterise the chart of a model and the masks of its areas.

        Raises:
            InputError: the size is not one of a map.
        """
        chart = UvChart.of(model.topology, size)
        masks = torch.stack(_area_masks(model), dim=1).to(model.mean.dtype)
        areas = bake(chart, masks, gutter=False).split(1, dim=-1)
        return cls(chart, mirrored_texels(chart, model.topology, model.mirror), *areas)


def _area_masks(model: FaceModel) -> tuple[Tensor, ...]:
    """Vertices of the areas of a chart, in its order; a model without such regions is all face."""
    nothing = torch.zeros_like(model.mirror, dtype=torch.bool)
    usable = model.parts.get("skin", ~nothing)
    for name in HIDDEN_REGIONS:
        usable = usable & ~model.regions.get(name, nothing)
    rim = torch.stack([model.regions.get(name, nothing) for name in RIM_REGIONS]).any(0)
    scalp = model.regions.get("scalp", nothing)
    rim = (rim | scalp & _before_and_below_the_ears(model)) & usable
    scalp = scalp & usable & ~rim
    eyes = model.parts.get("left_eye", nothing) | model.parts.get("right_eye", nothing)
    lips = model.regions.get("lips", nothing) & usable
    face = usable & ~rim & ~scalp & ~eyes
    middle = torch.stack([model.regions.get(name, nothing) for name in MIDDLE_REGIONS]).any(0) & face
    return face, rim, scalp, eyes, lips, middle if bool(middle.any()) else face


def _before_and_below_the_ears(model: FaceModel) -> Tensor:
    """Vertices of cheek and jaw: what a scalp mask has there, hair of the head does not grow on."""
    ears = [model.regions[name] for name in ("ear_left", "ear_right") if name in model.regions]
    middle = model.mean[torch.stack(ears).any(0)] if ears else model.mean[:0]
    if len(middle) == 0:
        return torch.zeros_like(model.mirror, dtype=torch.bool)
    _, height, depth = middle.mean(0)
    return (model.mean[:, 1] < height) & (model.mean[:, 2] > depth)
