"""Pictures of a head for people to look at: over its photo, and turned, as clay and textured.

Light is computed at the vertices, of which a head has more than a small picture shows; that is several times
faster than at every pixel.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d
from torch.nn.functional import interpolate as resized

from facewright.geometry.mesh import Topology
from facewright.geometry.normals import vertex_normals
from facewright.models.face_model import FaceModel
from facewright.render.antialias import antialias
from facewright.render.fragments import Fragments
from facewright.render.interpolate import interpolate
from facewright.render.rasterize import rasterize
from facewright.render.shading import shade_diffuse, shade_point_diffuse, shade_specular
from facewright.render.texture import texture
from facewright.scene.camera import Camera, PerspectiveCamera
from facewright.scene.lighting import PointLight, soft_light
from facewright.scene.pose import Pose, turned_rotations

VIEW_DISTANCE = 1500.0  # mm; a portrait lens, so that noses keep their size
VIEW_HEIGHT = 290.0  # mm of the head that fill a picture from top to bottom
CLAY = (0.50, 0.47, 0.44)  # linear RGB
CLAY_SPECULAR = 0.12
EYES, TEETH = ("left_eye", "right_eye"), ("upper_teeth", "lower_teeth")
ENAMEL = 0.8  # reflectance
# A texture keeps the shade that was in its photo: it is drawn darker only where less than this share of the
# light comes in.
DEEP = 0.5
# Drawn so many times larger, then averaged: where lids cut an eyeball or lips the teeth, the mesh has no edge
# that could be smoothed.
SUPERSAMPLE = 2
TEXELS_A_PIXEL = 1.4  # of a map that neither blurs nor flickers when it is drawn


def turned_views(
    vertices: Float[Tensor, "V 3"],
    topology: Topology,
    albedo: Float[Tensor, "H W 3"],
    yaws: tuple[float, ...],
    size: int,
    background: tuple[float, float, float],
    *,
    clay: Float[Tensor, "V 3"] | None = None,
    light: Float[Tensor, " V"] | None = None,
) -> tuple[Float[Tensor, "B S S 3"], Float[Tensor, "B S S 3"]]:
    """Draw a head from several sides, one picture a yaw, linear RGB: as clay, and with its texture.

    Args:
        vertices: mm, head frame.
        topology: of the head.
        albedo: map, linear RGB, row 0 is v = 1.
        yaws: radians; positive turns the subject's left cheek to the camera.
        size: side of a picture in pixels.
        background: linear RGB.
        clay: colour of the clay at each vertex, linear RGB; the same everywhere if None.
        light: ``light_reaching`` each vertex; None: nothing is in the way of the light.
    """
    middle = 0.5 * (vertices.min(0).values + vertices.max(0).values)
    large = SUPERSAMPLE * size
    translation = vertices.new_tensor([[0.0, 0.0, VIEW_DISTANCE]])
    focal = vertices.new_tensor([large * VIEW_DISTANCE / VIEW_HEIGHT])
    camera = PerspectiveCamera(focal, vertices.new_full((1, 2), large / 2), (large, large))
    maps = for_drawing(albedo, large)
    clays, textures = [], []
    deep = 1.0 if light is None else (light[:, None] / DEEP).clamp(max=1)
    for turn in turned_rotations(yaws).to(vertices).split(1):  # a buffer of all views leaves the cache
        points = Pose(turn, translation).camera_from_head((vertices - middle)[None])
        normals = vertex_normals(points, topology.faces)
        even = soft_light(1, 1.05, above=0.3, front=0.3, device=points.device).shading(normals)
        studio = torch.cat([_clay(points, normals, clay, light), even * deep], dim=-1)
        pixels = camera.project(points)
        fragments = rasterize(pixels, topology.faces, camera.size, perspective=True, cull_back_faces=True)
        shaded = interpolate(fragments, topology.faces, studio)
        uv = interpolate(fragments, topology.uv_faces, topology.uv[None])
        textured = texture(uv, maps, fragments=fragments) * shaded[..., 3:]
        drawing = _smoothed([shaded[..., :3], textured], fragments, pixels, topology)
        behind = (1 - drawing[..., 6:]) * vertices.new_tensor(background)
        clays.append((drawing[..., :3] + behind).clamp(0, 1))
        textures.append((drawing[..., 3:6] + behind).clamp(0, 1))
    return torch.cat(clays), torch.cat(textures)


def photo_overlay(
    vertices: Float[Tensor, "V 3"],
    topology: Topology,
    pose: Pose,
    camera: Camera,
    background: Float[Tensor, "H W 3"],
    *,
    opacity: float = 0.8,
    clay: Float[Tensor, "V 3"] | None = None,
    light: Float[Tensor, " V"] | None = None,
) -> Float[Tensor, "H W 3"]:
    """Lay the clay head over its photo (linear RGB), where the fit says that it is.

    Args:
        vertices: mm, head frame.
        topology: of the head.
        pose: camera_from_head.
        camera: of the picture, whose size it has.
        background: the photo in linear RGB.
        opacity: 1 hides the face under the mesh.
        clay: as in ``turned_views``.
        light: as in ``turned_views``.
    """
    points = pose.camera_from_head(vertices[None])
    large = camera.scaled(SUPERSAMPLE)
    pixels = large.project(points)
    perspective = isinstance(camera, PerspectiveCamera)
    fragments = rasterize(pixels, topology.faces, large.size, perspective=perspective, cull_back_faces=True)
    shaded = _clay(points, vertex_normals(points, topology.faces), clay, light)
    shaded = interpolate(fragments, topology.faces, shaded)
    drawing = _smoothed([shaded], fragments, pixels, topology)[0] * opacity
    return (drawing[..., :3] + (1 - drawing[..., 3:]) * background).clamp(0, 1)


def zoomed_camera(camera: Camera, box: tuple[float, float, float, float], size: int) -> Camera:
    """The camera of a square box of the picture, scaled to ``size`` pixels."""
    side = box[2] - box[0]
    zoomed = camera.cropped(box[0], box[1], (0, 0)).scaled(size / side)
    return replace(zoomed, size=(size, size))


def clay_with_eyes(model: FaceModel) -> Float[Tensor, "V 3"]:
    """Clay with white teeth, whose eyes keep their own lightness: blank ones look like closed lids."""
    colors = model.mean.new_tensor(CLAY).repeat(len(model.mean), 1)
    for own in (model.parts[name] for name in EYES if name in model.parts):
        colors[own] = model.diffuse_mean[own].mean(-1, keepdim=True).expand(-1, 3)
    for own in (model.parts[name] for name in TEETH if name in model.parts):
        colors[own] = ENAMEL
    return colors


def _clay(points: Tensor, normals: Tensor, colors: Tensor | None, light: Tensor | None) -> Tensor:
    """Colour of clay under a studio light from above at the camera's left."""
    count = points.shape[0]
    nearest = points[..., 2].min(dim=1).values
    aside = torch.full_like(nearest, -700.0)
    place = torch.stack([aside, aside, nearest - 900], dim=-1)
    bulb = PointLight(place, points.new_tensor([[0.75, 0.73, 0.70]]).expand(count, 3))
    clay = (points.new_tensor(CLAY) if colors is None else colors).expand_as(points)
    soft = shade_diffuse(clay, normals, soft_light(count, 0.42, above=0.18, front=0.18, device=points.device))
    specular = points.new_full((*points.shape[:-1], 1), CLAY_SPECULAR)
    shaded = (
        soft
        + shade_point_diffuse(clay, normals, points, bulb)
        + shade_specular(specular, normals, points, bulb, 20.0)
    )
    return shaded if light is None else shaded * light[:, None]


def _smoothed(colors: list[Tensor], fragments: Fragments, pixels: Tensor, topology: Topology) -> Tensor:
    """Colours and coverage of a drawing that is ``SUPERSAMPLE`` times too large, smooth at every edge."""
    covered = fragments.covered[..., None].to(colors[0].dtype)
    drawing = torch.cat([*colors, covered], dim=-1)
    drawing = antialias(drawing, fragments, pixels, topology.faces, edges=topology.edges)
    return avg_pool2d(drawing.permute(0, 3, 1, 2), SUPERSAMPLE).permute(0, 2, 3, 1)


def for_drawing(albedo: Tensor, size: int) -> Tensor:
    """The map at about the resolution of the picture, since it is looked up bilinearly."""
    side = max(1, round(size * TEXELS_A_PIXEL))
    if max(albedo.shape[:2]) <= side:
        return albedo[None]
    images = albedo.permute(2, 0, 1)[None]
    small = resized(images, size=(side, side), mode="bilinear", align_corners=False, antialias=True)
    return small.permute(0, 2, 3, 1)
