"""From a head to its diffuse picture and its highlights, with gradients to everything."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from facewright.fitting.skin import skin_mask
from facewright.geometry.normals import vertex_normals
from facewright.image.color import srgb_from_linear
from facewright.methods.specular.settings import GammaKind, RenderSettings
from facewright.models.face_model import FaceModel
from facewright.render.fragments import Fragments
from facewright.render.interpolate import interpolate
from facewright.render.rasterize import rasterize
from facewright.render.shading import shade_diffuse, shade_point_diffuse, shade_specular
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.parameters import HeadParameters

DARKEST = 1e-4  # linear; below it the encodings' slopes have no bound
DISPLAY_GAMMA = 2.2


@dataclass(frozen=True)
class Rendering:
    """A head as pictures; 0 where the head is not.

    Attributes:
        diffuse: the picture without highlights, as a display takes it.
        specular: what highlights add to it, so that the sum is the whole picture.
        lit: diffuse light, linear.
        albedo: linear.
        gloss: highlights, linear.
        skin: whether the pixel shows skin of the face.
        fragments: which triangle each pixel shows.
    """

    diffuse: Float[Tensor, "B H W 3"]
    specular: Float[Tensor, "B H W 3"]
    lit: Float[Tensor, "B H W 3"]
    albedo: Float[Tensor, "B H W 3"]
    gloss: Float[Tensor, "B H W 3"]
    skin: Bool[Tensor, "B H W"]
    fragments: Fragments

    @property
    def image(self) -> Float[Tensor, "B H W 3"]:
        """The whole picture."""
        return self.diffuse + self.specular


def render(model: FaceModel, at: HeadParameters, settings: RenderSettings) -> Rendering:
    """Draw heads into pictures of ``settings.size`` px.

    **Source:** eq. 2, 4 and 5 of the paper.
    **Differs:** shaded for each pixel, not for each vertex; the highlight is scaled by the light's intensity
    and gone where the light is below the surface. What highlights add is the difference of the two encoded
    pictures, so that eq. 8's sum is exact.
    """
    camera = at.camera.scaled(settings.size / at.camera.size[0])
    faces = model.topology.faces
    vertices = at.pose.camera_from_head(model.vertices(at.identity, at.expression))
    perspective = isinstance(camera, PerspectiveCamera)
    fragments = rasterize(
        camera.project(vertices), faces, camera.size, perspective=perspective, cull_back_faces=True
    )
    diffuse = model.diffuse_albedo(at.diffuse)
    specular = model.specular_albedo(at.specular)[..., None]
    if settings.gamma == "albedo":
        diffuse, specular = (
            values.clamp_min(DARKEST) ** (1 / DISPLAY_GAMMA) for values in (diffuse, specular)
        )
    on_face = skin_mask(model)[None, :, None].expand(len(vertices), -1, -1)
    attributes = torch.cat([vertex_normals(vertices, faces), vertices, diffuse, specular, on_face], dim=-1)
    normals, points, albedo, shine, skin = interpolate(fragments, faces, attributes).split(
        [3, 3, 3, 1, 1], dim=-1
    )
    normals, points, albedo = (values.contiguous() for values in (normals, points, albedo))
    lit = shade_diffuse(albedo, normals, at.light)
    gloss = torch.zeros_like(lit)
    if at.point_light is not None:
        if settings.lamp_diffuse:
            lit = lit + shade_point_diffuse(albedo, normals, points, at.point_light)
        gloss = shade_specular(shine, normals, points, at.point_light, at.exponent)
    there = fragments.covered[..., None]
    without, whole = (encoded(light, settings.gamma) * there for light in (lit, lit + gloss))
    on_skin = (skin[..., 0] > 0.99) & fragments.covered
    return Rendering(without, whole - without, lit, albedo, gloss, on_skin, fragments)


def encoded(linear: Float[Tensor, "*N"], gamma: GammaKind) -> Float[Tensor, "*N"]:
    """Shaded light as a display takes it."""
    clipped = linear.clamp(DARKEST, 1)
    if gamma == "srgb":
        return srgb_from_linear(clipped)
    return clipped ** (1 / DISPLAY_GAMMA) if gamma == "display" else clipped
