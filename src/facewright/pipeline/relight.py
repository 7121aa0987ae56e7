"""A result of ``reconstruct`` in another light: its photo, and the head alone."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

from facewright.core.errors import InputError
from facewright.export.asset import EYE_PARTS
from facewright.fitting.skin import skin_mask
from facewright.image.color import lacks_color, linear_from_srgb, luminance
from facewright.image.io import Photograph
from facewright.image.matte import head_matte
from facewright.image.pyramid import blur
from facewright.models.face_model import FaceModel
from facewright.pipeline.relight_hair import under_hair
from facewright.pipeline.saved_head import SavedHead
from facewright.pipeline.views import DrawnHair, drawn_hair, zoomed_camera
from facewright.render.antialias import antialias
from facewright.render.draw import Lighting
from facewright.render.fragments import Fragments
from facewright.render.interpolate import interpolate
from facewright.render.rasterize import rasterize
from facewright.render.relighting import (
    Reflection,
    Surface,
    mean_shading,
    reflection,
    relit_photo,
    visible_surface,
)
from facewright.render.shading import unit
from facewright.render.texture import texture
from facewright.scene.camera import Camera, PerspectiveCamera
from facewright.scene.lighting import PointLight, SphericalHarmonicsLight
from facewright.scene.material import EYE_SHININESS
from facewright.scene.parameters import HeadParameters
from facewright.scene.studio import StudioLight
from facewright.uv.head_chart import HIDDEN_REGIONS

FACING = (0.1, 0.4)  # cosines to the camera from which on the mesh's shading counts, and counts fully
ROOM = 0.06  # of the head's size around it in the pictures of it alone
HAIR_ROOM = 0.35  # and around it in the photo
SKIN_BORDER = 40  # as many times the width of the soft border of skin is the head's
NECK_MM = 45.0  # from the neck's end up, over which the new light sets in: clothes may hide it
SUPERSAMPLE = 2
SAMPLED = 8  # every which pixel of a drawing tells how bright it is


@dataclass(frozen=True)
class GivenLight:
    """A light in the camera frame that was fitted or written down, rather than set up.

    Attributes:
        ambient: soft light.
        bulb: the hard light, or None.
        head: where the head was (mm, camera frame) that it was made for: the hard light moves with the head.
        exposure: brightness of the face, 1 as in its photo.
    """

    ambient: SphericalHarmonicsLight
    bulb: PointLight | None
    head: Float[Tensor, "1 3"] | None = None
    exposure: float = 1.0


Light = StudioLight | GivenLight


@dataclass(frozen=True)
class View:
    """A head as one camera sees it.

    Attributes:
        fragments: of its mesh.
        surface: normals, places and gloss, pixel by pixel.
        coverage: share of each pixel that the head covers, smooth at its outline.
        known: weight of the pixels whose shading the mesh knows.
        skin: weight of the pixels that show skin of the face.
        eyes: specular intensity of the eyeballs, which the surface leaves to this: they shine otherwise.
    """

    fragments: Fragments
    surface: Surface
    coverage: Float[Tensor, "1 H W 1"]
    known: Float[Tensor, "1 H W 1"]
    skin: Float[Tensor, "1 H W 1"]
    eyes: Float[Tensor, "1 H W 1"]


@dataclass(frozen=True)
class Render:
    """Pictures of a head alone, linear RGB over black, and how much of each pixel it covers.

    Attributes:
        full: diffuse and specular together.
        diffuse: albedo times diffuse light.
        specular: highlights.
        albedo: the map, looked up.
        normals: camera frame, unit length.
        coverage: 0 to 1.
    """

    full: Float[Tensor, "S S 3"]
    diffuse: Float[Tensor, "S S 3"]
    specular: Float[Tensor, "S S 3"]
    albedo: Float[Tensor, "S S 3"]
    normals: Float[Tensor, "S S 3"]
    coverage: Float[Tensor, "S S 1"]


@dataclass(frozen=True)
class Relighter:
    """A result that can be lit again and again; what does not depend on the light is made once.

    Attributes:
        head: the result.
        parameters: of the result, on the model's device.
        camera: a square around the head, for the pictures of it alone.
        view: the head through that camera.
        photo: the photo, or None.
        box: (x0, y0, x1, y1) of the part of the photo that is worked on, whole pixels.
        photo_view: the head in that part.
        matte: how much of each of its pixels belongs to the head.
        old: what the head does there with the photo's own light.
    """

    head: SavedHead
    parameters: HeadParameters
    camera: Camera
    view: View
    photo: Photograph | None = None
    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    photo_view: View | None = None
    matte: Float[Tensor, "1 H W 1"] | None = None
    old: Reflection | None = None

    @classmethod
    def of(cls, head: SavedHead, photo: Photograph | None, size: int = 768) -> "Relighter":
        """Prepare a result.

        Args:
            head: the result.
            photo: that it was made from; the head alone is lit if None.
            size: side in pixels of the pictures of the head alone.
        """
        parameters = head.parameters()
        points = _points(head.model, parameters)
        shown = [points]
        if head.hair is not None:
            shown.append(parameters.pose.camera_from_head(_hair_of(head, parameters).vertices[None]))
        square = _square(parameters.camera.project(torch.cat(shown, 1))[0, :, :2], ROOM)
        camera = zoomed_camera(parameters.camera, square, size * SUPERSAMPLE)
        view = _view(head.model, points, parameters, camera)
        if photo is None:
            return cls(head, parameters, camera, view)
        parameters = replace(parameters, camera=head.camera_of(photo).to(head.model.device))
        x0, y0, x1, y1 = _square(parameters.camera.project(points)[0, :, :2], HAIR_ROOM)
        height, width = photo.pixels.shape[-2:]
        box = (max(0, int(x0)), max(0, int(y0)), min(width, int(x1)), min(height, int(y1)))
        near = parameters.camera.cropped(box[0], box[1], (box[3] - box[1], box[2] - box[0]))
        photo_view = _view(head.model, points, parameters, near)
        pixels = photo.pixels[:, box[1] : box[3], box[0] : box[2]].to(head.model.device)
        trusted, scalp = _areas(head.model, photo_view)
        matte = head_matte(pixels, photo_view.coverage[0, ..., 0] * trusted, scalp)
        own = Lighting(parameters.light, parameters.point_light)
        old = reflection(photo_view.surface, own, parameters.exponent)
        return cls(head, parameters, camera, view, photo, box, photo_view, matte[None, ..., None], old)

    @property
    def own_light(self) -> Lighting:
        """The light of the photo."""
        return Lighting(self.parameters.light, self.parameters.point_light)

    def lighting(self, light: Light) -> Lighting:
        """A light with the brightness and the white balance of the photo's own.

        The mean shading of the face's skin becomes the light's exposure times what it is in the photo, and
        what is white in the light gets the colour of the photo's.
        """
        middle = self.parameters.pose.translation
        if isinstance(light, StudioLight):
            ambient = light.ambient(1, middle.device)
            bulb = light.lamp.light(middle) if light.lamp is not None else None
        else:
            ambient, bulb = light.ambient.to(middle.device), light.bulb
            if bulb is not None:
                shift = 0 if light.head is None else middle.cpu() - light.head.cpu()
                bulb = PointLight(bulb.position.cpu() + shift, bulb.intensity.cpu()).to(middle.device)
        own, raw = (self._brightness(each) for each in (self.own_light, Lighting(ambient, bulb)))
        gain = light.exposure * own / luminance(raw).clamp_min(1e-6)[:, None]
        if isinstance(light, GivenLight):  # its colours are its own
            gain = gain.mean(-1, keepdim=True).expand(-1, 3)
        soft = SphericalHarmonicsLight(ambient.coefficients * gain[:, None])
        return Lighting(soft, None if bulb is None else replace(bulb, intensity=bulb.intensity * gain))

    def _brightness(self, lighting: Lighting) -> Float[Tensor, "1 3"]:
        """Mean shading of the skin, from a part of its pixels."""
        surface, some = self.view.surface, slice(None, None, SAMPLED)
        fewer = [each[:, some, some] for each in (surface.normals, surface.points, surface.specular)]
        return mean_shading(
            reflection(Surface(*fewer), lighting, self.parameters.exponent), self.view.skin[:, some, some]
        )

    def photo_in(self, lighting: Lighting) -> Float[Tensor, "3 H W"]:
        """The photo with its head in a light, sRGB not encoded: linear RGB, clipped to [0, 1]."""
        if self.photo is None or self.photo_view is None or self.matte is None or self.old is None:
            raise InputError("there is no photo to light: this head was read without one.")
        x0, y0, x1, y1 = self.box
        view, whole = self.photo_view, linear_from_srgb(self.photo.pixels).to(self.matte.device)
        pixels = whole[:, y0:y1, x0:x1].permute(1, 2, 0)[None]
        new = reflection(view.surface, lighting, self.parameters.exponent)
        colored = not lacks_color(pixels[view.skin[..., 0] > 0.5])
        lit = relit_photo(pixels, self.old, new, view.known, view.skin, self.matte, colored=colored)
        out = whole.clone()
        out[:, y0:y1, x0:x1] = lit[0].permute(2, 0, 1).clamp(0, 1)
        return out

    def render(self, lighting: Lighting) -> Render:
        """The head alone in a light."""
        view, topology = self.view, self.head.model.topology
        lit: Reflection = reflection(view.surface, lighting, self.parameters.exponent)
        uv = interpolate(view.fragments, topology.uv_faces, topology.uv[None])
        albedo = texture(uv, self.head.albedo[None], fragments=view.fragments)
        diffuse, highlight = albedo * lit.shading, lit.highlight
        if lighting.bulb is not None:
            eyes = replace(view.surface, specular=view.eyes)
            highlight = highlight + reflection(eyes, lighting, EYE_SHININESS).highlight
        buffers = torch.cat([diffuse, highlight, albedo, view.surface.normals, view.coverage], dim=-1)
        pixels = self.camera.project(_points(self.head.model, self.parameters))
        smooth = antialias(buffers[..., :12], view.fragments, pixels, topology.faces, edges=topology.edges)
        smooth = torch.cat([smooth, view.coverage], dim=-1)
        if self.head.hair is not None:
            hair, place = _hair_of(self.head, self.parameters), (self.parameters.pose, self.camera)
            smooth = under_hair(smooth, view.fragments, hair, place, lighting)
        smooth = smooth.permute(0, 3, 1, 2)
        small = avg_pool2d(smooth, SUPERSAMPLE).permute(0, 2, 3, 1)[0]
        diffuse, specular, albedo, normals = (small[..., i : i + 3] for i in range(0, 12, 3))
        return Render(diffuse + specular, diffuse, specular, albedo, unit(normals), small[..., 12:])


def _points(model: FaceModel, parameters: HeadParameters) -> Float[Tensor, "1 V 3"]:
    """The head with the photo's expression, mm, camera frame."""
    return parameters.pose.camera_from_head(model.vertices(parameters.identity, parameters.expression))


def _hair_of(head: SavedHead, parameters: HeadParameters) -> DrawnHair:
    """The hair over the head with the photo's expression, mm, head frame."""
    if head.hair is None:
        raise InputError(f"{head.name} has no hair: there is none to draw.")
    return drawn_hair(head.hair, head.model.vertices(parameters.identity, parameters.expression)[0])


def _square(pixels: Float[Tensor, "V 2"], room: float) -> tuple[float, float, float, float]:
    """A square around points with room on all sides, whole pixels."""
    low, high = pixels.min(0).values, pixels.max(0).values
    half = float((high - low).max()) * (0.5 + room)
    x, y = ((low + high) / 2).tolist()
    side = max(8, round(2 * half))
    left, top = round(x - half), round(y - half)
    return float(left), float(top), float(left + side), float(top + side)


def _view(model: FaceModel, points: Tensor, parameters: HeadParameters, camera: Camera) -> View:
    topology = model.topology
    pixels = camera.project(points)
    perspective = isinstance(camera, PerspectiveCamera)
    fragments = rasterize(pixels, topology.faces, camera.size, perspective=perspective, cull_back_faces=True)
    surface = visible_surface(fragments, points, topology, model.specular_albedo(parameters.specular))
    covered = fragments.covered[..., None].to(points.dtype)
    coverage = antialias(covered, fragments, pixels, topology.faces, edges=topology.edges)
    usable = model.parts.get("skin", torch.ones_like(model.mirror, dtype=torch.bool))
    for name in HIDDEN_REGIONS:
        usable = usable & ~model.regions.get(name, torch.zeros_like(usable))
    eyes = torch.zeros_like(usable)
    for name in EYE_PARTS:
        eyes = eyes | model.parts.get(name, torch.zeros_like(usable))
    masks = torch.stack([usable.to(points.dtype), skin_mask(model), eyes.to(points.dtype)], dim=-1)
    known, skin, eyes = interpolate(fragments, topology.faces, masks[None]).split(1, dim=-1)
    gloss = surface.specular * eyes
    surface = replace(surface, specular=surface.specular * (1 - eyes))
    facing = -(surface.normals * unit(surface.points)).sum(-1, keepdim=True)
    steep = ((facing - FACING[0]) / (FACING[1] - FACING[0])).clamp(0, 1)
    skin = _softened(skin * steep, coverage)
    return View(fragments, surface, coverage, (known > 0.99) * steep, skin, gloss)


def _softened(skin: Tensor, coverage: Tensor) -> Tensor:
    """The skin with soft borders inside: highlights end on hair and lips gradually."""
    radius = max(1, round(float((coverage > 0.5).sum().sqrt()) / SKIN_BORDER))
    weight = coverage.permute(0, 3, 1, 2)
    return skin * blur(skin.permute(0, 3, 1, 2), radius, weight).permute(0, 2, 3, 1)


def _areas(model: FaceModel, view: View) -> tuple[Float[Tensor, "H W"], Float[Tensor, "H W"]]:
    """How far the mesh is trusted not to lie under clothes, and where hair grows or a hat sits on it."""
    scalp = model.regions.get("scalp", torch.zeros_like(model.mirror, dtype=torch.bool)).to(model.mean.dtype)
    height = model.mean[:, 1]
    trusted = ((height - height.min()) / NECK_MM).clamp(0, 1)
    areas = torch.stack([trusted * trusted * (3 - 2 * trusted), scalp], dim=-1)
    trusted, scalp = interpolate(view.fragments, model.topology.faces, areas[None])[0].unbind(-1)
    return trusted, scalp
