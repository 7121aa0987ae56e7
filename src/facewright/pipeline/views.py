"""Pictures of a head for people to look at: over its photo, and turned, as clay and textured.

Light is computed at the vertices, of which a head has more than a small picture shows; that is several times
faster than at every pixel.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d
from torch.nn.functional import interpolate as resized

from facewright.geometry.mesh import Topology
from facewright.geometry.normals import vertex_normals
from facewright.geometry.tangents import vertex_tangents
from facewright.image.color import luminance
from facewright.models.face_model import FaceModel
from facewright.pipeline.glasses import HeadGlasses
from facewright.pipeline.hair import HeadHair
from facewright.render.ambient import light_reaching
from facewright.render.antialias import antialias
from facewright.render.fragments import Fragments
from facewright.render.interpolate import interpolate
from facewright.render.rasterize import rasterize
from facewright.render.shading import shade_diffuse, shade_point_diffuse, shade_specular, unit
from facewright.render.texture import texture
from facewright.scene.camera import Camera, PerspectiveCamera
from facewright.scene.lighting import PointLight, soft_light
from facewright.scene.pose import Pose, turned_rotations
from facewright.scene.studio import StudioLight
from facewright.uv.relief import SkinRelief

VIEW_DISTANCE = 1500.0  # mm; a portrait lens, so that noses keep their size
VIEW_HEIGHT = 290.0  # mm of the head that fill a picture from top to bottom, or more...
VIEW_MARGIN = 1.05  # ... for heads whose hair is larger
CLAY = (0.50, 0.47, 0.44)  # linear RGB
HAIR_CLAY = (0.30, 0.265, 0.24)
GLASSES_CLAY = (0.13, 0.125, 0.12)
LEAST_OPACITY = 0.5  # of lenses that are drawn
CLAY_SPECULAR = 0.12
# For textures: soft, and from the left above as the lamp of clay, so that a profile has depth.
TEXTURE_LIGHT = StudioLight(0.92, above=0.36, front=0.28, right=-0.22)
TILT = 0.3  # slope by which the light on clay is tried out to learn how relief changes it
LEAST_LIGHT = 1e-3  # to which that is relative
RELIEF_LIGHT = (0.35, 1.6)  # limits of that change
INSIDE = 0.5  # brightness of the inside of hair, to which little light comes
GRAIN, GRAIN_RANGE, DIM = 0.5, (0.6, 1.5), 0.01  # of hair in clay: exponent and limits of its lightness
EARS = ("ear_left", "ear_right")
EYES, TEETH = ("left_eye", "right_eye"), ("upper_teeth", "lower_teeth")
ENAMEL = 0.8  # reflectance
# A texture keeps the shade that was in its photo: it is drawn darker only where less than this share of the
# light comes in.
DEEP, DEEP_IN_EARS = 0.5, 0.95  # ears are hardly seen from the front, and their texture has little shade
# Drawn so many times larger, then averaged: where lids cut an eyeball or lips the teeth, the mesh has no edge
# that could be smoothed.
SUPERSAMPLE = 2
TEXELS_A_PIXEL = 1.4  # of a map that neither blurs nor flickers when it is drawn


@dataclass(frozen=True)
class DrawnHair:
    """A shell of hair over a head.

    Attributes:
        vertices: of the shell alone, mm, head frame.
        topology: its triangles, in texture coordinates of its own.
        colors: map of albedo (linear RGB) and cover, row 0 is v = 1.
    """

    vertices: Float[Tensor, "V 3"]
    topology: Topology
    colors: Float[Tensor, "S S 4"]


def drawn_hair(hair: HeadHair, vertices: Float[Tensor, "V 3"]) -> DrawnHair:
    """The hair of a head with these vertices."""
    shell = hair.topology
    rows, faces = torch.unique(shell.faces, return_inverse=True)
    return DrawnHair(hair.shell.on(vertices)[rows], replace(shell, faces=faces), hair.colors)


@dataclass(frozen=True)
class Finish:
    """How a head is drawn, beside its shape and albedo.

    Attributes:
        clay: colour of the clay at each vertex, linear RGB; the same everywhere if None.
        light: ``light_reaching`` each vertex; None: nothing is in the way of the light.
        deep: share of that light below which a texture is drawn darker, at each vertex; None: ``DEEP``.
        hair: over the head, or None.
        relief: of the skin, shown in clay alone: the texture keeps the shade of its folds; None: smooth.
        lively: share of the texture's lightness that clay has at each vertex (eyes, teeth); None: nowhere.
        glasses: on the head, or None.
    """

    clay: Float[Tensor, "V 3"] | None = None
    light: Float[Tensor, " V"] | None = None
    deep: Float[Tensor, " V"] | None = None
    hair: DrawnHair | None = None
    relief: SkinRelief | None = None
    lively: Float[Tensor, " V"] | None = None
    glasses: HeadGlasses | None = None


def head_finish(
    model: FaceModel,
    vertices: Float[Tensor, "V 3"],
    *,
    hair: HeadHair | None = None,
    relief: SkinRelief | None = None,
    glasses: HeadGlasses | None = None,
) -> Finish:
    """How a head with a texture of its own is drawn; vertices in mm, head frame."""
    ears = torch.stack([model.regions[name] for name in EARS if name in model.regions] or [model.mirror < 0])
    return Finish(
        light=light_reaching(vertices, model.topology),
        deep=torch.where(ears.any(0), DEEP_IN_EARS, DEEP).to(vertices),
        hair=None if hair is None else drawn_hair(hair, vertices),
        relief=relief,
        lively=lively_parts(model),
        glasses=glasses,
    )


def turned_views(
    vertices: Float[Tensor, "V 3"],
    topology: Topology,
    albedo: Float[Tensor, "H W 3"],
    yaws: tuple[float, ...],
    size: int,
    background: tuple[float, float, float],
    *,
    finish: Finish = Finish(),
) -> tuple[Float[Tensor, "B S S 3"], Float[Tensor, "B S S 3"]]:
    """Draw a head from several sides, one picture a yaw, linear RGB: as clay, and with its texture.

    Args:
        vertices: mm, head frame.
        topology: of the head.
        albedo: map, linear RGB, row 0 is v = 1.
        yaws: radians; positive turns the subject's left cheek to the camera.
        size: side of a picture in pixels.
        background: linear RGB.
        finish: how it is drawn.
    """
    shown = vertices if finish.hair is None else torch.cat([vertices, finish.hair.vertices])
    low, high = shown.min(0).values, shown.max(0).values
    middle, large = 0.5 * (low + high), SUPERSAMPLE * size
    translation = vertices.new_tensor([[0.0, 0.0, VIEW_DISTANCE]])
    height = max(VIEW_HEIGHT, VIEW_MARGIN * float((high - low).max()))
    focal = vertices.new_tensor([large * VIEW_DISTANCE / height])
    camera = PerspectiveCamera(focal, vertices.new_full((1, 2), large / 2), (large, large))
    maps = for_drawing(albedo, large)
    clays, textures, tangents = [], [], None
    if finish.relief is not None:
        tangents = vertex_tangents(vertices[None], vertex_normals(vertices[None], topology.faces), topology)
    deep = DEEP if finish.deep is None else finish.deep
    shade = 1.0 if finish.light is None else (finish.light / deep).clamp(max=1)[:, None]
    for turn in turned_rotations(yaws).to(vertices).split(1):  # a buffer of all views leaves the cache
        pose = Pose(turn, translation)
        points = pose.camera_from_head((vertices - middle)[None])
        normals = vertex_normals(points, topology.faces)
        even = TEXTURE_LIGHT.ambient(1, points.device).shading(normals)
        studio = torch.cat([_clay(points, normals, finish), even * shade], dim=-1)
        if tangents is not None:
            studio = torch.cat([studio, _light_by_slope(points, normals, tangents @ turn.mT)], dim=-1)
        if finish.lively is not None:
            studio = torch.cat([studio, finish.lively[None, :, None]], dim=-1)
        pixels = camera.project(points)
        fragments = rasterize(pixels, topology.faces, camera.size, perspective=True, cull_back_faces=True)
        shaded = interpolate(fragments, topology.faces, studio)
        uv = interpolate(fragments, topology.uv_faces, topology.uv[None])
        textured = texture(uv, maps, fragments=fragments) * shaded[..., 3:6]
        clay = _finished(shaded, uv, textured, fragments, finish)
        drawing = _antialiased([clay, textured], fragments, pixels, topology)
        depth = fragments.depth.where(fragments.covered, torch.inf)
        if finish.glasses is not None:
            drawing, depth = _with_glasses(drawing, depth, finish.glasses, (pose, middle, camera))
        drawing = _shrunk(drawing)
        if finish.hair is not None:
            drawing = _under_hair(drawing, depth, finish.hair, (pose, middle, camera))
        behind = (1 - drawing[..., 6:]) * vertices.new_tensor(background)
        clays.append((drawing[..., :3] + behind).clamp(0, 1))
        textures.append((drawing[..., 3:6] + behind).clamp(0, 1))
    return torch.cat(clays), torch.cat(textures)


def _with_glasses(
    drawing: Float[Tensor, "1 H W 7"],
    depth: Float[Tensor, "1 H W"],
    glasses: HeadGlasses,
    seen: tuple[Pose, Float[Tensor, "3"], PerspectiveCamera],
) -> tuple[Float[Tensor, "1 H W 7"], Float[Tensor, "1 H W"]]:
    """Lay spectacles over a drawing of clay, texture and coverage, and over its depth (mm, inf where empty).

    They may be seen beside the head, too: what lies behind them there is hidden by their own depth.
    """
    pose, middle, camera = seen
    points = pose.camera_from_head((glasses.vertices - middle)[None])
    pixels = camera.project(points)
    left, top = (max(0, int(side)) for side in pixels[0, :, :2].amin(0).tolist())
    part = (
        slice(None),
        slice(top, int(pixels[0, :, 1].amax()) + 1),
        slice(left, int(pixels[0, :, 0].amax()) + 1),
    )
    under, nearest = drawing[part], depth[part]
    pixels = pixels - pixels.new_tensor([left, top, 0])
    clay = points.new_tensor(GLASSES_CLAY).expand(points.shape[1], 3)
    kinds = [(glasses.faces[: glasses.frame], 1.0)]
    if glasses.lens_opacity >= LEAST_OPACITY:
        kinds.insert(0, (glasses.faces[glasses.frame :], glasses.lens_opacity))
    for faces, opacity in kinds:
        normals = vertex_normals(points, faces)
        colors = glasses.colors[None] * TEXTURE_LIGHT.ambient(1, points.device).shading(normals)
        over = rasterize(pixels, faces, (nearest.shape[1], nearest.shape[2]), perspective=True)
        front = over.covered & (over.depth < nearest)
        studio = torch.cat([_clay(points, normals, Finish(clay)), colors], dim=-1)
        layer = interpolate(over, faces, studio)
        layer = torch.cat([layer, torch.ones_like(layer[..., :1])], dim=-1)
        under = torch.lerp(under, layer, opacity * front[..., None].to(layer.dtype))
        nearest = torch.where(front, over.depth, nearest)
    drawing, depth = drawing.clone(), depth.clone()
    drawing[part], depth[part] = under, nearest
    return drawing, depth


def _under_hair(
    drawing: Float[Tensor, "1 h w 7"],
    depth: Float[Tensor, "1 H W"],
    hair: DrawnHair,
    seen: tuple[Pose, Float[Tensor, "3"], PerspectiveCamera],
) -> Float[Tensor, "1 h w 7"]:
    """Lay the shell over a drawing of clay, texture and coverage, as far as it covers.

    Unlike the head, whose depth (mm, inf where empty) is ``SUPERSAMPLE`` times larger, it is drawn at the
    drawing's own size: nothing in it is cut without an edge.
    """
    pose, middle, large = seen
    camera = large.scaled(1 / SUPERSAMPLE)
    points = pose.camera_from_head((hair.vertices - middle)[None])
    pixels = camera.project(points)
    # Its inside is seen as well, below its ends.
    over = rasterize(pixels, hair.topology.faces, camera.size, perspective=True)
    shaded = interpolate(over, hair.topology.faces, _hair_studio(points, hair.topology))
    outside, inside, towards = shaded.split((6, 6, 1), dim=-1)
    shaded = torch.where(towards < 0, INSIDE * inside, outside)
    uv = interpolate(over, hair.topology.uv_faces, hair.topology.uv[None])
    looked_up = texture(uv, for_drawing(hair.colors, camera.size[0]), fragments=over)
    clay = shaded[..., :3] * _grain(hair.colors, looked_up)
    layer = torch.cat([clay, looked_up[..., :3] * shaded[..., 3:], torch.ones_like(towards)], dim=-1)
    layer = layer * looked_up[..., 3:] * over.covered[..., None]
    # A pixel at the outline of the head that lies behind hair shows both.
    before = (over.depth < -max_pool2d(-depth[:, None], SUPERSAMPLE)[:, 0])[..., None]
    drawing = drawing + (1 - drawing[..., 6:]) * layer * ~before
    layer = antialias(layer * before, over, pixels, hair.topology.faces, edges=hair.topology.edges)
    return drawing * (1 - layer[..., 6:]) + layer


def _hair_studio(points: Float[Tensor, "1 V 3"], topology: Topology) -> Float[Tensor, "1 V 13"]:
    """Clay and even light outside and inside of a shell, and how far its outside faces the viewer."""
    normals = vertex_normals(points, topology.faces)
    clay = Finish(points.new_tensor(HAIR_CLAY).expand(points.shape[1], 3))
    lit = [
        part
        for way in (normals, -normals)
        for part in (_clay(points, way, clay), TEXTURE_LIGHT.ambient(1, points.device).shading(way))
    ]
    return torch.cat([*lit, -(normals * unit(points)).sum(-1, keepdim=True)], dim=-1)


def _grain(colors: Float[Tensor, "S S 4"], seen: Float[Tensor, "1 H W 4"]) -> Float[Tensor, "1 H W 1"]:
    """Strands as clay shows them: how light each is among all, softened."""
    mean = (luminance(colors[..., :3]) * colors[..., 3]).sum() / colors[..., 3].sum().clamp_min(1e-6)
    light = (luminance(seen[..., :3]) + DIM) / (mean + DIM)
    return light.pow(GRAIN).clamp(*GRAIN_RANGE)[..., None]


def photo_overlay(
    vertices: Float[Tensor, "V 3"],
    topology: Topology,
    pose: Pose,
    camera: Camera,
    background: Float[Tensor, "H W 3"],
    *,
    opacity: float = 0.8,
    finish: Finish = Finish(),
) -> Float[Tensor, "H W 3"]:
    """Lay the clay head over its photo (linear RGB), where the fit says that it is.

    Args:
        vertices: mm, head frame.
        topology: of the head.
        pose: camera_from_head.
        camera: of the picture, whose size it has.
        background: the photo in linear RGB.
        opacity: 1 hides the face under the mesh.
        finish: how it is drawn; hair is not.
    """
    points = pose.camera_from_head(vertices[None])
    large = camera.scaled(SUPERSAMPLE)
    pixels = large.project(points)
    perspective = isinstance(camera, PerspectiveCamera)
    fragments = rasterize(pixels, topology.faces, large.size, perspective=perspective, cull_back_faces=True)
    shaded = _clay(points, vertex_normals(points, topology.faces), finish)
    shaded = interpolate(fragments, topology.faces, shaded)
    drawing = _shrunk(_antialiased([shaded], fragments, pixels, topology))[0] * opacity
    return (drawing[..., :3] + (1 - drawing[..., 3:]) * background).clamp(0, 1)


def zoomed_camera(camera: Camera, box: tuple[float, float, float, float], size: int) -> Camera:
    """The camera of a square box of the picture, scaled to ``size`` pixels."""
    side = box[2] - box[0]
    zoomed = camera.cropped(box[0], box[1], (0, 0)).scaled(size / side)
    return replace(zoomed, size=(size, size))


def lively_parts(model: FaceModel) -> Float[Tensor, " V"]:
    """Eyes and teeth, which as plain clay would look blind and toothless."""
    masks = [model.parts[name] for name in (*EYES, *TEETH) if name in model.parts]
    none = torch.zeros_like(model.mirror, dtype=torch.bool)
    return torch.stack([none, *masks]).any(0).to(model.mean.dtype)


def clay_with_eyes(model: FaceModel) -> Float[Tensor, "V 3"]:
    """Clay with white teeth, whose eyes keep their own lightness: blank ones look like closed lids."""
    colors = model.mean.new_tensor(CLAY).repeat(len(model.mean), 1)
    for own in (model.parts[name] for name in EYES if name in model.parts):
        colors[own] = model.diffuse_mean[own].mean(-1, keepdim=True).expand(-1, 3)
    for own in (model.parts[name] for name in TEETH if name in model.parts):
        colors[own] = ENAMEL
    return colors


def _clay(points: Tensor, normals: Tensor, finish: Finish) -> Tensor:
    """Colour of clay under a studio light from above at the camera's left."""
    count = points.shape[0]
    nearest = points[..., 2].min(dim=1).values
    aside = torch.full_like(nearest, -700.0)
    place = torch.stack([aside, aside, nearest - 900], dim=-1)
    bulb = PointLight(place, points.new_tensor([[0.75, 0.73, 0.70]]).expand(count, 3))
    clay = (points.new_tensor(CLAY) if finish.clay is None else finish.clay).expand_as(points)
    soft = shade_diffuse(clay, normals, soft_light(count, 0.42, above=0.18, front=0.18, device=points.device))
    specular = points.new_full((*points.shape[:-1], 1), CLAY_SPECULAR)
    shaded = (
        soft
        + shade_point_diffuse(clay, normals, points, bulb)
        + shade_specular(specular, normals, points, bulb, 20.0)
    )
    return shaded if finish.light is None else shaded * finish.light[:, None]


def _light_by_slope(
    points: Float[Tensor, "1 V 3"], normals: Float[Tensor, "1 V 3"], tangents: Float[Tensor, "1 V 2 3"]
) -> Float[Tensor, "1 V 2"]:
    """How the light on clay changes with the slope of its relief along both tangents, in shares of it."""
    tilts = TILT * tangents[0].transpose(0, 1)
    tilted = torch.cat([normals, unit(normals - tilts), unit(normals + tilts)])
    light, *up_down = _clay(points.expand(len(tilted), -1, -1), tilted, Finish()).mean(-1)
    change = torch.stack(up_down[:2], -1) - torch.stack(up_down[2:], -1)
    return (change / (2 * TILT * light.clamp_min(LEAST_LIGHT)[:, None]))[None]


def _finished(
    shaded: Float[Tensor, "1 H W C"],
    uv: Float[Tensor, "1 H W 2"],
    textured: Float[Tensor, "1 H W 3"],
    fragments: Fragments,
    finish: Finish,
) -> Float[Tensor, "1 H W 3"]:
    """Clay with relief, as far as light follows slopes in proportion, with brows, beard and live eyes."""
    clay, told = shaded[..., :3], shaded[..., 6:]
    if finish.relief is not None:
        surface = torch.cat([finish.relief.slopes, finish.relief.hair], -1)[None]
        seen = texture(uv, surface, fragments=fragments)
        light = 1 + (seen[..., :2] * told[..., :2]).sum(-1, keepdim=True)
        hair = clay.new_tensor(HAIR_CLAY) / clay.new_tensor(CLAY)
        clay = clay * light.clamp(*RELIEF_LIGHT) * torch.lerp(torch.ones_like(hair), hair, seen[..., 2:])
    if finish.lively is not None:
        clay = torch.lerp(clay, luminance(textured)[..., None].expand_as(clay), told[..., -1:])
    return clay


def _antialiased(
    colors: list[Tensor], fragments: Fragments, pixels: Tensor, topology: Topology
) -> Float[Tensor, "B H W C"]:
    """Colours and coverage of a drawing, smooth at the outline."""
    covered = fragments.covered[..., None].to(colors[0].dtype)
    drawing = torch.cat([*colors, covered], dim=-1)
    return antialias(drawing, fragments, pixels, topology.faces, edges=topology.edges)


def _shrunk(drawing: Float[Tensor, "B H W C"]) -> Float[Tensor, "B h w C"]:
    """A drawing that is ``SUPERSAMPLE`` times too large, at its size and smooth at every edge."""
    return avg_pool2d(drawing.permute(0, 3, 1, 2), SUPERSAMPLE).permute(0, 2, 3, 1)


def for_drawing(albedo: Tensor, size: int) -> Tensor:
    """The map at about the resolution of the picture, since it is looked up bilinearly."""
    side = max(1, round(size * TEXELS_A_PIXEL))
    if max(albedo.shape[:2]) <= side:
        return albedo[None]
    images = albedo.permute(2, 0, 1)[None]
    small = resized(images, size=(side, side), mode="bilinear", align_corners=False, antialias=True)
    return small.permute(0, 2, 3, 1)
