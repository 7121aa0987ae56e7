"""Draw a whole mesh in one call: rasterise, interpolate, shade, smooth the silhouettes."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

from facewright.geometry.mesh import Topology
from facewright.geometry.normals import vertex_normals
from facewright.render.antialias import antialias
from facewright.render.fragments import Fragments
from facewright.render.interpolate import interpolate
from facewright.render.rasterize import rasterize
from facewright.render.shading import shade_diffuse, shade_point_diffuse, shade_specular
from facewright.render.texture import texture
from facewright.scene.camera import Camera, PerspectiveCamera
from facewright.scene.lighting import PointLight, SphericalHarmonicsLight
from facewright.scene.material import Material


@dataclass(frozen=True)
class Lighting:
    """The light of a drawing, camera frame.

    Attributes:
        ambient: light from all around, as spherical harmonics.
        bulb: a point light with diffuse and specular reflection; none if None.
    """

    ambient: SphericalHarmonicsLight
    bulb: PointLight | None = None


@dataclass(frozen=True)
class DrawSettings:
    """How a drawing is made.

    Attributes:
        supersample: draw this many times larger in each direction, then average.
        cull_back_faces: hide triangles seen from behind.
        antialias: smooth the silhouettes (also what gives the outline its gradient).
    """

    supersample: int = 1
    cull_back_faces: bool = True
    antialias: bool = True


def draw_mesh(
    vertices_camera: Float[Tensor, "B V 3"],
    topology: Topology,
    camera: Camera,
    material: Material,
    lighting: Lighting,
    *,
    settings: DrawSettings = DrawSettings(),
) -> Float[Tensor, "B H W 4"]:
    """Draw a mesh; differentiable in every tensor given.

    Args:
        vertices_camera: mm, camera frame (``pose.camera_from_head(...)``).
        topology: triangles and texture coordinates; it sorts its edges once, so draw it again, not a copy.
        camera: its ``size`` is the size of the drawing.
        material: reflectance.
        lighting: light in the camera frame.
        settings: supersampling, culling, antialiasing.

    Returns:
        Linear RGB multiplied by coverage, and coverage; 0 where empty. See ``over``.
    """
    large = camera.scaled(settings.supersample)
    pixels = large.project(vertices_camera)
    fragments = rasterize(
        pixels,
        topology.faces,
        large.size,
        perspective=isinstance(camera, PerspectiveCamera),
        cull_back_faces=settings.cull_back_faces,
    )
    colors = shade(fragments, vertices_camera, topology, material, lighting)
    drawing = torch.cat([colors, fragments.covered[..., None].to(colors.dtype)], dim=-1)
    if settings.antialias:
        drawing = antialias(drawing, fragments, pixels, topology.faces, edges=topology.edges)
    if settings.supersample > 1:
        drawing = avg_pool2d(drawing.permute(0, 3, 1, 2), settings.supersample).permute(0, 2, 3, 1)
    return drawing


def shade(
    fragments: Fragments,
    vertices_camera: Float[Tensor, "B V 3"],
    topology: Topology,
    material: Material,
    lighting: Lighting,
) -> Float[Tensor, "B H W 3"]:
    """Colour of every pixel of a rasterised mesh, linear RGB, 0 where empty."""
    faces = topology.faces
    normals = interpolate(fragments, faces, vertex_normals(vertices_camera, faces))
    albedo = _albedo(fragments, topology, material, normals)
    colors = shade_diffuse(albedo, normals, lighting.ambient)
    if lighting.bulb is None:
        return colors
    points = interpolate(fragments, faces, vertices_camera)
    colors = colors + shade_point_diffuse(albedo, normals, points, lighting.bulb)
    if material.specular is not None:
        specular = interpolate(fragments, faces, material.specular[..., None])
        colors = colors + shade_specular(specular, normals, points, lighting.bulb, material.shininess)
    return colors


def over(drawing: Float[Tensor, "B H W 4"], background: Float[Tensor, "*N 3"]) -> Float[Tensor, "B H W 3"]:
    """Lay a drawing over a background (linear RGB: one colour, or buffers of the same size)."""
    return drawing[..., :3] + (1 - drawing[..., 3:]) * background


def _albedo(fragments: Fragments, topology: Topology, material: Material, like: Tensor) -> Tensor:
    albedo = fragments.covered[..., None].to(like.dtype).expand(like.shape)
    if material.albedo is not None:
        albedo = interpolate(fragments, topology.faces, material.albedo)
    if material.albedo_map is not None:
        uv = interpolate(fragments, topology.uv_faces, topology.uv[None].to(like.dtype))
        albedo = albedo * texture(uv, material.albedo_map, fragments=fragments)
    return albedo
