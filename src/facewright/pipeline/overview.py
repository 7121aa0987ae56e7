"""overview.png: what a person looks at first."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from facewright.image.color import linear_from_srgb, srgb_from_linear
from facewright.image.io import Photograph
from facewright.image.warp import crop_box
from facewright.models.face_model import FaceModel
from facewright.pipeline.glasses import HeadGlasses
from facewright.pipeline.hair import HeadHair
from facewright.pipeline.views import (
    Finish,
    for_drawing,
    head_finish,
    photo_overlay,
    turned_views,
    zoomed_camera,
)
from facewright.scene.parameters import HeadParameters
from facewright.uv.relief import SkinRelief

PANEL, GAP, CAPTION, MARGIN, HEADER = 384, 14, 28, 28, 64
PAPER, PANEL_GREY, INK, FAINT = "#f5f4f1", "#e4e2dd", "#26272b", "#75767c"
ACCENT = "#1f8f6b"
VIEWS = (
    ("front", 0.0),
    ("subject's left 45°", math.radians(45)),
    ("subject's right 45°", -math.radians(45)),
    ("profile", math.radians(90)),
)
CONTEXT = 1.9  # side of the zoomed photo over the larger extent of the landmarks


@dataclass(frozen=True)
class OverviewContent:
    """What an overview tells of a head.

    Attributes:
        title: which photo, and which of its faces.
        photo: the photo as it was worked on.
        model: the face model.
        parameters: a batch of one; pixels are those of ``photo.pixels``.
        vertices: with the photo's expression, mm, head frame.
        albedo: map, linear RGB, row 0 is v = 1.
        hair: over the head, or None.
        relief: of its skin, or None.
        glasses: on the head, or None.
        box: (x0, y0, x1, y1) of the face in pixels of ``photo.pixels``.
        detected_px: the landmarks that were seen, pixels of ``photo.pixels``.
        residual: of the fit, as a fraction of the distance of the outer eye corners.
    """

    title: str
    photo: Photograph
    model: FaceModel
    parameters: HeadParameters
    vertices: Float[Tensor, "V 3"]
    albedo: Float[Tensor, "H W 3"]
    hair: HeadHair | None
    relief: SkinRelief | None
    glasses: HeadGlasses | None
    box: tuple[float, float, float, float]
    detected_px: Float[Tensor, "478 2"]
    residual: float


@dataclass(frozen=True)
class Zoom:
    """The photo around the face.

    Attributes:
        box: (x0, y0, x1, y1) of a square with whole pixels.
        picture: what is in it, sRGB.
    """

    box: tuple[float, float, float, float]
    picture: Float[Tensor, "S S 3"]


def draw_overview(head: OverviewContent) -> Image.Image:
    """Draw photo, landmarks, overlay and albedo above the head as clay and textured, from four sides."""
    yaws = tuple(yaw for _, yaw in VIEWS)
    grey = tuple(float(v) for v in linear_from_srgb(torch.tensor(_rgb(PANEL_GREY))))
    background = (grey[0], grey[1], grey[2])
    vertices, topology = head.vertices, head.model.topology
    finish = head_finish(head.model, vertices, hair=head.hair, relief=head.relief, glasses=head.glasses)
    clay, textured = turned_views(vertices, topology, head.albedo, yaws, PANEL, background, finish=finish)
    names = [name for name, _ in VIEWS]
    albedo = _picture(for_drawing(head.albedo, PANEL)[0]).resize((PANEL, PANEL), Image.Resampling.LANCZOS)
    zoom = _zoomed(head)
    fit = _fit(head, zoom, finish.light)
    rows = [
        [("photo", _photo(head)), ("landmarks", _landmarks(head, zoom)), ("fit", fit), ("albedo", albedo)],
        [(f"shape, {name}", _picture(view)) for name, view in zip(names, clay, strict=True)],
        [(f"texture, {name}", _picture(view)) for name, view in zip(names, textured, strict=True)],
    ]
    return draw_sheet(rows, head.title, _facts(head))


def _facts(head: OverviewContent) -> str:
    weights = head.parameters.expression[0]
    order = torch.argsort(weights, descending=True)[:3].tolist()
    names = head.model.expression_names
    strongest = [f"{names[i]} {float(weights[i]):.2f}" for i in order if weights[i] > 0.1]
    told = ", ".join(strongest) or "neutral"
    return f"{told}   |   landmark fit {100 * head.residual:.1f} % of the eye distance"


def draw_sheet(rows: list[list[tuple[str, Image.Image]]], title: str, facts: str) -> Image.Image:
    """Lay named panels of ``PANEL`` pixels out in rows, under a title."""
    columns = max(len(row) for row in rows)
    width = 2 * MARGIN + columns * PANEL + (columns - 1) * GAP
    height = HEADER + len(rows) * (PANEL + CAPTION + GAP) + MARGIN - GAP
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    heading, small = ImageFont.load_default(26), ImageFont.load_default(16)
    shown = title if len(title) <= 48 else title[:45] + "..."
    draw.text((MARGIN, HEADER / 2 + 2), shown, INK, heading, anchor="lm")
    draw.text((width - MARGIN, HEADER / 2 + 4), facts, FAINT, small, anchor="rm")
    for i, row in enumerate(rows):
        top = HEADER + i * (PANEL + CAPTION + GAP)
        for j, (name, picture) in enumerate(row):
            left = MARGIN + j * (PANEL + GAP)
            sheet.paste(picture, (left, top))
            draw.text((left + 2, top + PANEL + CAPTION / 2 + 1), name, FAINT, small, anchor="lm")
    return sheet


def _photo(head: OverviewContent) -> Image.Image:
    """The whole photo with the face's box."""
    height, width = head.photo.pixels.shape[-2:]
    factor = PANEL / max(height, width)
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    small = crop_box(head.photo.pixels, (0, 0, width, height), size)
    panel = Image.new("RGB", (PANEL, PANEL), PANEL_GREY)
    offset = ((PANEL - size[1]) // 2, (PANEL - size[0]) // 2)
    panel.paste(_image(small.permute(1, 2, 0)), offset)
    box = [side * factor + offset[axis % 2] for axis, side in enumerate(head.box)]
    ImageDraw.Draw(panel).rectangle(box, outline=ACCENT, width=3)
    return panel


def _landmarks(head: OverviewContent, zoom: Zoom) -> Image.Image:
    """The detected points on the zoomed photo."""
    panel = _image(zoom.picture)
    draw = ImageDraw.Draw(panel)
    factor = PANEL / (zoom.box[2] - zoom.box[0])
    points = (head.detected_px.cpu() - torch.tensor(zoom.box[:2])) * factor
    for x, y in points.tolist():
        draw.ellipse((x - 1.2, y - 1.2, x + 1.2, y + 1.2), fill="#5ff0b6")
    return panel


def _fit(head: OverviewContent, zoom: Zoom, light: Tensor | None) -> Image.Image:
    """The fitted mesh over the zoomed photo."""
    camera = zoomed_camera(head.parameters.camera, zoom.box, PANEL)
    background = linear_from_srgb(zoom.picture).to(head.vertices.device)
    drawn = photo_overlay(
        head.vertices,
        head.model.topology,
        head.parameters.pose,
        camera,
        background,
        finish=Finish(light=light),
    )
    return _picture(drawn)


def _zoomed(head: OverviewContent) -> Zoom:
    low, high = head.detected_px.min(0).values, head.detected_px.max(0).values
    side = max(8, round(float((high - low).max()) * CONTEXT))
    left, top = (round(float(value) - side / 2) for value in (low + high) / 2)
    # A head is taller above the brows than below the chin.
    top -= side // 12
    box = (float(left), float(top), float(left + side), float(top + side))
    grey = _rgb(PANEL_GREY)[0]
    picture = crop_box(head.photo.pixels, box, (PANEL, PANEL), outside=grey).permute(1, 2, 0)
    return Zoom(box, picture)


def _picture(linear: Tensor) -> Image.Image:
    return _image(srgb_from_linear(linear))


def _image(srgb: Tensor) -> Image.Image:
    array = (srgb.detach().cpu().clamp(0, 1) * 255 + 0.5).to(torch.uint8).numpy()
    return Image.fromarray(np.ascontiguousarray(array))


def _rgb(color: str) -> list[float]:
    return [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
