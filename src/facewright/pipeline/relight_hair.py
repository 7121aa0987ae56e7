"""The shell of hair of a head that is lit anew."""

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.geometry.normals import vertex_normals
from facewright.pipeline.views import INSIDE, DrawnHair, for_drawing
from facewright.render.antialias import antialias
from facewright.render.draw import Lighting
from facewright.render.fragments import Fragments
from facewright.render.interpolate import interpolate
from facewright.render.rasterize import rasterize
from facewright.render.relighting import Surface, reflection
from facewright.render.shading import unit
from facewright.render.texture import texture
from facewright.scene.camera import Camera, PerspectiveCamera
from facewright.scene.pose import Pose


def under_hair(
    drawing: Float[Tensor, "1 H W 13"],
    fragments: Fragments,
    hair: DrawnHair,
    place: tuple[Pose, Camera],
    lighting: Lighting,
) -> Float[Tensor, "1 H W 13"]:
    """Lay lit hair over a drawing, as far as it covers.

    Args:
        drawing: diffuse light, highlight, albedo, normals (camera frame) and coverage of the head.
        fragments: of the head.
        hair: mm, head frame.
        place: camera_from_head, B = 1, and the drawing's camera.
        lighting: camera frame. Hair is dull: what it mirrors has no model here.
    """
    pose, camera = place
    points = pose.camera_from_head(hair.vertices[None])
    faces, pixels = hair.topology.faces, camera.project(points)
    over = rasterize(pixels, faces, camera.size, perspective=isinstance(camera, PerspectiveCamera))
    places = interpolate(over, faces, points)
    normals = unit(interpolate(over, faces, vertex_normals(points, faces)))
    away = (normals * unit(places)).sum(-1, keepdim=True) > 0
    normals = torch.where(away, -normals, normals)
    dull = Surface(normals, places, torch.zeros_like(places[..., :1]))
    lit = reflection(dull, lighting, 1.0)
    uv = interpolate(over, hair.topology.uv_faces, hair.topology.uv[None])
    seen = texture(uv, for_drawing(hair.colors, max(camera.size)), fragments=over)
    diffuse = seen[..., :3] * lit.shading * torch.where(away, INSIDE, 1.0)
    layer = torch.cat(
        [diffuse, lit.highlight, seen[..., :3], normals, torch.ones_like(normals[..., :1])], dim=-1
    )
    before = over.covered & (~fragments.covered | (over.depth < fragments.depth))
    layer = layer * seen[..., 3:] * before[..., None]
    layer = antialias(layer, over, pixels, faces, edges=hair.topology.edges)
    return drawing * (1 - layer[..., 12:]) + layer
