"""A differentiable mesh renderer that knows no face."""

from facewright.render.antialias import antialias
from facewright.render.draw import DrawSettings, Lighting, draw_mesh
from facewright.render.interpolate import interpolate
from facewright.render.rasterize import rasterize
from facewright.render.shading import shade_diffuse, shade_point_diffuse, shade_specular
from facewright.render.texture import texture
from facewright.render.visibility import vertex_visibility

__all__ = [
    "DrawSettings",
    "Lighting",
    "antialias",
    "draw_mesh",
    "interpolate",
    "rasterize",
    "shade_diffuse",
    "shade_point_diffuse",
    "shade_specular",
    "texture",
    "vertex_visibility",
]
