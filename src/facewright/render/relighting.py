"""A photo in another light: by the ratio of what the surface reflects in the new light and in the old one.

The ratio keeps what no mesh has: pores, hairs, stubble. Cast shadows are neither removed nor made.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.geometry.mesh import Topology
from facewright.geometry.normals import vertex_normals
from facewright.image.color import luminance
from facewright.image.pyramid import blur, push_pull
from facewright.render.draw import Lighting
from facewright.render.fragments import Fragments
from facewright.render.interpolate import interpolate
from facewright.render.shading import shade_diffuse, shade_point_diffuse, shade_specular, unit
from facewright.scene.lighting import PointLight

DARKEST = 0.3  # of the face's mean shading: the ratio of darker places would amplify noise and wrong light
MOST_HIGHLIGHT = 0.6  # of the light that comes from a pixel
MOST_GAIN = 1.3  # of a pixel's ratio over that of its surroundings
GRAZING = 0.4  # cosine between surface and lamp above which highlights are whole


@dataclass(frozen=True)
class Surface:
    """What a camera sees of meshes, pixel by pixel; 0 where empty.

    Attributes:
        normals: unit length, camera frame.
        points: mm, camera frame.
        specular: specular intensity.
    """

    normals: Float[Tensor, "B H W 3"]
    points: Float[Tensor, "B H W 3"]
    specular: Float[Tensor, "B H W 1"]


@dataclass(frozen=True)
class Reflection:
    """What a surface does with a light, linear RGB; 0 where empty.

    Attributes:
        shading: diffuse light on a white surface.
        highlight: what it mirrors.
    """

    shading: Float[Tensor, "B H W 3"]
    highlight: Float[Tensor, "B H W 3"]


def visible_surface(
    fragments: Fragments,
    vertices_camera: Float[Tensor, "B V 3"],
    topology: Topology,
    specular: Float[Tensor, "P V"],
) -> Surface:
    """Look up normals, places (mm) and specular intensity of every pixel of a rasterised mesh."""
    faces = topology.faces
    normals = unit(interpolate(fragments, faces, vertex_normals(vertices_camera, faces)))
    points = interpolate(fragments, faces, vertices_camera)
    return Surface(normals, points, interpolate(fragments, faces, specular[..., None]))


def reflection(
    surface: Surface, lighting: Lighting, shininess: float | int | Float[Tensor, " B"]
) -> Reflection:
    """Light a surface; without a point light there is no highlight.

    **Differs** from ``shade_specular``: highlights set in gradually where the lamp begins to be above the
    surface, since skin shades itself there; at once, they had hard edges.
    """
    white = (surface.normals != 0).any(-1, keepdim=True).to(surface.normals.dtype).expand_as(surface.normals)
    shading = shade_diffuse(white, surface.normals, lighting.ambient)
    if lighting.bulb is None:
        return Reflection(shading, torch.zeros_like(shading))
    lamp = lighting.bulb
    even = PointLight(lamp.position, torch.ones_like(lamp.intensity))
    cosine = shade_point_diffuse(white, surface.normals, surface.points, even)
    shine = shade_specular(surface.specular, surface.normals, surface.points, lamp, shininess)
    shading = shading + cosine * lamp.intensity[:, None, None]
    return Reflection(shading, shine * (cosine / GRAZING).clamp(max=1).square())


def mean_shading(lit: Reflection, weight: Float[Tensor, "B H W 1"]) -> Float[Tensor, "B 3"]:
    """Mean shading of the pixels that have weight, linear RGB."""
    total = (lit.shading * weight).sum((1, 2))
    return total / weight.sum((1, 2)).clamp_min(1e-6)


def relit_photo(
    photo: Float[Tensor, "1 H W 3"],
    old: Reflection,
    new: Reflection,
    surface: Float[Tensor, "1 H W 1"],
    skin: Float[Tensor, "1 H W 1"],
    matte: Float[Tensor, "1 H W 1"],
    *,
    colored: bool = True,
) -> Float[Tensor, "1 H W 3"]:
    """Take the old light off a photo and put the new one on; linear RGB, not clipped above.

    Args:
        photo: linear RGB.
        old: of the photo's own light.
        new: of the light that is wished for.
        surface: weight of the pixels whose shading the mesh knows; what lies between and beside them (eyes,
            teeth, hair that stands off) is lit like the surface next to it.
        skin: weight of the pixels that mirror light as the mesh does: bare skin.
        matte: how much of each pixel belongs to the head; the photo stays as it is where it is 0.
        colored: False takes brightness alone over, for a grey photo.
    """
    before, after, shine = old.shading, new.shading, new.highlight
    if not colored:
        before, after, shine = (luminance(each)[..., None].expand_as(each) for each in (before, after, shine))
    floor = DARKEST * mean_shading(Reflection(before, shine), skin)[:, None, None]
    ratio = after / before.maximum(floor).clamp_min(1e-6)
    field = _spread(ratio, surface)
    mirrored = torch.minimum(old.highlight, MOST_HIGHLIGHT * photo) * skin
    relit = (photo - mirrored) * field + shine * skin
    return torch.lerp(photo, relit, matte)


def _spread(ratio: Tensor, surface: Tensor) -> Tensor:
    """The ratio where there is surface, continued smoothly over everything else."""
    planes, weight = ratio.permute(0, 3, 1, 2), surface.permute(0, 3, 1, 2)
    filled = push_pull(planes, weight)
    radius = max(1, round(max(ratio.shape[1:3]) / 64))
    soft = blur(filled, radius, torch.ones_like(weight))
    # Folds at the corners of eyes and mouth would sparkle: no pixel gains much more than its surroundings.
    filled = torch.minimum(filled, MOST_GAIN * soft)
    return torch.lerp(soft, filled, weight).permute(0, 2, 3, 1)
