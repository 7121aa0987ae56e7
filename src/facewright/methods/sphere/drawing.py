"""Heads as grey pictures, with gradients, for the photometric loss."""

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.fitting.skin import skin_mask
from facewright.geometry.normals import vertex_normals
from facewright.image.color import luminance, srgb_from_linear
from facewright.models.face_model import FaceModel
from facewright.render.interpolate import interpolate
from facewright.render.rasterize import rasterize
from facewright.render.shading import shade_diffuse
from facewright.scene.parameters import HeadParameters

DARKEST = 1e-4  # linear; below it the encoding's slope has no bound


def draw_grey(
    model: FaceModel, head: HeadParameters, size: int
) -> tuple[Float[Tensor, "B H W"], Float[Tensor, "B H W"]]:
    """Pictures of ``size`` px (sRGB luma), and 1 where they show skin of the face.

    Args:
        model: whose coefficients the heads have.
        head: seen by orthographic cameras.
        size: side of the pictures.
    """
    camera = head.camera.scaled(size / head.camera.size[0])
    faces = model.topology.faces
    vertices = head.pose.camera_from_head(model.vertices(head.identity, head.expression))
    fragments = rasterize(
        camera.project(vertices), faces, camera.size, perspective=False, cull_back_faces=True
    )
    albedo = model.diffuse_albedo(head.diffuse)
    skin = skin_mask(model)[None, :, None].expand(len(vertices), -1, -1)
    attributes = torch.cat([vertex_normals(vertices, faces), albedo, skin], dim=-1)
    normals, colors, on_skin = interpolate(fragments, faces, attributes).split([3, 3, 1], dim=-1)
    lit = shade_diffuse(colors.contiguous(), normals.contiguous(), head.light)
    grey = srgb_from_linear(luminance(lit).clamp(DARKEST, 1)) * fragments.covered
    return grey, ((on_skin[..., 0] > 0.99) & fragments.covered).to(grey)
