"""overview.png of a registration: the scan, the head that was laid on it, and how far they are apart."""

import math
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image, ImageDraw, ImageFont

from facewright.image.ramp import ramp_colors
from facewright.models.face_model import FaceModel
from facewright.pipeline.overview import PANEL, PANEL_GREY, draw_sheet
from facewright.registration.records import Registration
from facewright.registration.scan_views import Viewer, looking, viewer_of
from facewright.registration.surface import ScanSurface

YAWS = (("front", 0.0), ("subject's left 45°", 45.0), ("subject's right 45°", -45.0))
RADIUS = 125.0  # mm around the middle of the face
FULL_SCALE = 2.0  # mm, the brightest colour of the error map
UNSEEN = (150, 150, 155)  # sRGB where the scan says nothing


def draw_registration(
    surface: ScanSurface,
    model: FaceModel,
    registration: Registration,
    texture: UInt8[ndarray, "S S 3"] | None,
    facts: str,
) -> Image.Image:
    """Draw the scan above the registered head above the error, from three sides, and the head's texture.

    Args:
        surface: the scan in its own frame and unit.
        model: of the head.
        registration: of the scan.
        texture: the scan's colours as a map of the head, sRGB; None leaves its row out.
        facts: one line for the title.
    """
    transform = registration.transform
    placed = replace(surface, vertices=transform.head_from_scan(surface.vertices))
    head = _head_surface(model, registration)
    scan = [(f"scan, {name}", _look(viewer_of(placed), yaw)) for name, yaw in YAWS]
    shape = [(f"registered, {name}", _look(viewer_of(head, colored=False), yaw)) for name, yaw in YAWS]
    error = [(f"distance to the scan, {name}", _look(viewer_of(head), yaw)) for name, yaw in YAWS]
    _draw_scale(error[0][1])
    rows = [scan, shape, error]
    if texture is not None:
        viewer = viewer_of(_textured(head, model, texture))
        rows.insert(2, [(f"with the scan's colours, {name}", _look(viewer, yaw)) for name, yaw in YAWS])
    return draw_sheet(rows, surface.name, facts)


def error_colors(distance: Float[ndarray, " V"], known: ndarray) -> UInt8[ndarray, "V 3"]:
    """Colours of distances from 0 to ``FULL_SCALE`` mm; grey where nothing is known."""
    return np.where(known[:, None], ramp_colors(distance / FULL_SCALE) * 255 + 0.5, UNSEEN).astype(np.uint8)


def _head_surface(model: FaceModel, registration: Registration) -> ScanSurface:
    """The skin of the head with its error as colours."""
    faces = model.topology.faces.numpy()
    skin = model.parts["skin"].numpy() & ~model.regions["inner_mouth"].numpy()
    kept = np.ascontiguousarray(faces[skin[faces].all(1)])
    colors = error_colors(registration.distance, registration.reliable)
    return ScanSurface("head", registration.vertices, kept, colors, None, None, None, 0.0, ())


def _textured(head: ScanSurface, model: FaceModel, texture: UInt8[ndarray, "S S 3"]) -> ScanSurface:
    """The whole head, eyes and mouth included."""
    topology = model.topology
    uv, uv_faces, faces = (part.numpy() for part in (topology.uv, topology.uv_faces, topology.faces))
    return replace(head, faces=faces, colors=None, uv=uv, uv_faces=uv_faces, texture=texture)


def _look(viewer: Viewer, yaw: float) -> Image.Image:
    angle = math.radians(yaw)
    back = np.array([math.sin(angle), 0.0, math.cos(angle)])
    view = viewer.look(looking(back, np.array([0.0, 1.0, 0.0])), np.array([0.0, 0.0, 0.0]), RADIUS, 2 * PANEL)
    picture = (view.picture.permute(1, 2, 0).clamp(0, 1) * 255 + 0.5).to(torch.uint8).numpy()
    return Image.fromarray(picture).resize((PANEL, PANEL), Image.Resampling.BOX)


def _draw_scale(panel: Image.Image) -> None:
    """A bar from 0 to ``FULL_SCALE`` mm in the panel's lower left corner."""
    width, height, left = 120, 10, 12
    top = PANEL - 30
    ramp = error_colors(np.linspace(0, FULL_SCALE, width), np.ones(width, dtype=bool))
    panel.paste(Image.fromarray(np.repeat(ramp[None], height, axis=0)), (left, top))
    told = f"0 to {FULL_SCALE:.0f} mm or more"
    ImageDraw.Draw(panel).text((left, top - 10), told, PANEL_GREY, ImageFont.load_default(12), anchor="lm")
