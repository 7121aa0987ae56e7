"""What the texture maps of all heads of one model share: chart, mirror images and areas."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.image.smoothstep import smoothstep
from facewright.models.face_model import FaceModel
from facewright.uv.bake import bake
from facewright.uv.chart import UvChart, mirrored_texels
from facewright.uv.iris import IrisPlace, iris_places
from facewright.uv.teeth import DrawnTeeth, drawn_teeth

# Lining that photos hardly show and that shadow would colour wrongly.
HIDDEN_REGIONS = ("inner_mouth", "eye_sockets")
MIDDLE_REGIONS = ("nose", "cheek_left", "cheek_right")
RIM_REGIONS = ("neck", "ear_left", "ear_right")
HAIRY_REGIONS = ("brow_left", "brow_right", "beard")
FEATURE_REGIONS = ("eye_left", "eye_right", "brow_left", "brow_right", "nose", "mouth", "lips")
SMOOTH_REGIONS = ("eye_left", "eye_right", "brow_left", "brow_right", "lips")
BEHIND = (-30.0, 15.0)  # mm before the middle of the ears: where detail ends, and from where on it is full
DETAIL_OF_RIM = 0.5
FEATURE_RINGS = 2  # triangles around a feature that are no plain skin either


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
        plain: mask of the skin of the face away from its features.
        grained: share of the detail of facial skin that skin has: less on ears and neck, none of it behind.
        hairy: mask of brows and beard, which are part of the face.
        pitch: mm on the skin of the average head from one texel to the next, along u and along v.
        shear: cosine between these two directions on the skin.
        teeth: where and how they are drawn.
        irises: where they are drawn.
    """

    chart: UvChart
    mirror: Int64[Tensor, " N"]
    face: Float[Tensor, "S S 1"]
    rim: Float[Tensor, "S S 1"]
    scalp: Float[Tensor, "S S 1"]
    eyes: Float[Tensor, "S S 1"]
    lips: Float[Tensor, "S S 1"]
    middle: Float[Tensor, "S S 1"]
    plain: Float[Tensor, "S S 1"]
    grained: Float[Tensor, "S S 1"]
    hairy: Float[Tensor, "S S 1"]
    pitch: Float[Tensor, "S S 2"]
    shear: Float[Tensor, "S S 1"]
    teeth: tuple[DrawnTeeth, ...]
    irises: tuple[IrisPlace, ...]

    @classmethod
    def of(cls, model: FaceModel, size: int = 1024) -> "HeadChart":
        """Rasterise the chart of a model and the masks of its areas.

        Raises:
            InputError: the size is not one of a map.
        """
        chart = UvChart.of(model.topology, size)
        masks = torch.stack([mask.to(model.mean.dtype) for mask in _area_masks(model)], dim=1)
        areas = bake(chart, masks, gutter=False).split(1, dim=-1)
        mirror = mirrored_texels(chart, model.topology, model.mirror)
        pitch, shear = bake(chart, _ways(model, size)).split((2, 1), -1)
        drawn = {"teeth": drawn_teeth(chart, model), "irises": iris_places(chart, model)}
        return cls(chart, mirror, *areas, pitch=pitch, shear=shear, **drawn)


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
    plain = face & ~_widened(model, FEATURE_REGIONS)
    smooth = torch.stack([model.regions.get(name, nothing) for name in SMOOTH_REGIONS]).any(0)
    grained = (face & ~smooth) + rim * _detail_of_rim(model)
    hairy = torch.stack([model.regions.get(name, nothing) for name in HAIRY_REGIONS]).any(0) & face
    return face, rim, scalp, eyes, lips, middle if bool(middle.any()) else face, plain, grained, hairy


def _widened(model: FaceModel, names: tuple[str, ...]) -> Tensor:
    """Vertices of regions and around them."""
    mask = torch.zeros_like(model.mirror, dtype=torch.bool)
    for name in names:
        mask = mask | model.regions.get(name, mask)
    for _ in range(FEATURE_RINGS):
        near = model.topology.faces[mask[model.topology.faces].any(1)]
        mask = mask.index_fill(0, near.flatten(), True)
    return mask


def _detail_of_rim(model: FaceModel) -> Tensor:
    """Share of the face's detail that each vertex of neck and ears has."""
    ears = [model.regions[name] for name in ("ear_left", "ear_right") if name in model.regions]
    if not ears:
        return torch.zeros_like(model.mean[:, 0])
    ear = torch.stack(ears).any(0)
    depth = model.mean[:, 2] - model.mean[ear, 2].mean()
    share = smoothstep(depth, BEHIND)
    return torch.where(_before_and_below_the_ears(model) & ~ear, share, DETAIL_OF_RIM * share)


def _ways(model: FaceModel, size: int) -> Float[Tensor, "V 3"]:
    """Way on the skin (mm) from one texel to the next, along u and v, and the cosine between them."""
    faces, flat = model.mean[model.topology.faces], model.topology.uv[model.topology.uv_faces]
    (a, b), (u, v) = ((each[:, 1:] - each[:, :1]).unbind(1) for each in (faces, flat))
    area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    along = torch.stack([a * v[:, 1:] - b * u[:, 1:], b * u[:, :1] - a * v[:, :1]], 1)
    lengths = along.norm(dim=-1)
    cosine = (along[:, 0] * along[:, 1]).sum(-1) / lengths.prod(-1).clamp_min(1e-12)
    ways = torch.cat([lengths / (size * area.abs().clamp_min(1e-12))[:, None], cosine[:, None]], 1)
    corners, total = model.topology.faces.flatten(), model.mean.new_zeros(len(model.mean), 3)
    count = total.index_add(0, corners, torch.ones_like(total[:1]).expand(len(corners), -1))
    return total.index_add(0, corners, ways.repeat_interleave(3, 0)) / count.clamp_min(1)


def _before_and_below_the_ears(model: FaceModel) -> Tensor:
    """Vertices of cheek and jaw: what a scalp mask has there, hair of the head does not grow on."""
    ears = [model.regions[name] for name in ("ear_left", "ear_right") if name in model.regions]
    middle = model.mean[torch.stack(ears).any(0)] if ears else model.mean[:0]
    if len(middle) == 0:
        return torch.zeros_like(model.mirror, dtype=torch.bool)
    _, height, depth = middle.mean(0)
    return (model.mean[:, 1] < height) & (model.mean[:, 2] > depth)
