"""Errors as colours on the surface where they were taken, from three sides, with a scale in mm."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from PIL import Image, ImageDraw, ImageFont

from facewright.core.files import atomic_file
from facewright.evaluation.cropping import face_axes
from facewright.evaluation.records import FaceSample, PointErrors, Unit
from facewright.geometry.mesh import Topology
from facewright.image.color import linear_from_srgb, srgb_from_linear
from facewright.image.ramp import ramp_colors
from facewright.render.draw import DrawSettings, Lighting, draw_mesh, over
from facewright.scene.camera import WeakPerspectiveCamera
from facewright.scene.lighting import soft_light
from facewright.scene.material import Material
from facewright.scene.pose import turned_rotations

LIMIT: Mapping[str, float] = {"mm": 5.0, "%": 5.0}
YAWS = (("subject's right 45°", -math.radians(45)), ("front", 0.0), ("subject's left 45°", math.radians(45)))
PANEL, GAP, MARGIN, HEADER, BAR = 400, 12, 24, 64, 110
MARGIN_MM = 22.0  # shown around what was measured
PAPER, INK, FAINT, BLANK = "#f5f4f1", "#26272b", "#75767c", (0.80, 0.79, 0.77)
BRIGHTNESS, SLOPE = 0.93, 0.10  # of the light: shape shows, colours keep their meaning


def write_heatmap(path: Path, sample: FaceSample, part: PointErrors, unit: Unit, title: str) -> None:
    """Draw and write a heat map; nothing is drawn of a point cloud.

    Args:
        path: the .png file.
        sample: whose vertices ``part`` names.
        part: errors.
        unit: of the errors.
        title: above the picture.

    Raises:
        OutputError: the file cannot be written.
    """
    picture = draw_heatmap(sample, part, unit, title)
    with atomic_file(path) as partial:
        picture.save(partial, format="PNG")


def draw_heatmap(sample: FaceSample, part: PointErrors, unit: Unit, title: str) -> Image.Image:
    """Three views side by side and a colour bar; grey is what was not measured.

    Args:
        sample: whose vertices ``part`` names; needs triangles.
        part: errors; those beyond the end of the scale have its last colour.
        unit: of the errors.
        title: above the picture.

    Raises:
        InputError: the sample is a point cloud.
    """
    sample.check_surface()
    colours = vertex_colours(len(sample.vertices), part, LIMIT[unit])
    views = _views(sample, part, colours)
    width = 2 * MARGIN + 3 * PANEL + 2 * GAP + BAR
    sheet = Image.new("RGB", (width, HEADER + PANEL + 28 + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    heading, small = ImageFont.load_default(22), ImageFont.load_default(15)
    shown = title if len(title) <= 60 else title[:57] + "..."
    draw.text((MARGIN, HEADER / 2), shown, INK, heading, anchor="lm")
    summary = part.summary
    told = f"mean {summary.mean:.2f}   median {summary.median:.2f}   95 % below {summary.p95:.2f} {unit}"
    draw.text((width - MARGIN, HEADER / 2), told, FAINT, small, anchor="rm")
    for number, ((name, _), view) in enumerate(zip(YAWS, views, strict=True)):
        left = MARGIN + number * (PANEL + GAP)
        sheet.paste(view, (left, HEADER))
        draw.text((left + 2, HEADER + PANEL + 14), name, FAINT, small, anchor="lm")
    _draw_bar(sheet, width - MARGIN - BAR + 30, unit)
    return sheet


def vertex_colours(count: int, part: PointErrors, limit: float) -> Float[ndarray, "V 3"]:
    """SRGB of each vertex: the mean of its errors on the colour map, grey where there is none.

    Args:
        count: number of vertices.
        part: errors.
        limit: error that has the last colour.
    """
    times = np.bincount(part.vertex, minlength=count)
    sums = np.bincount(part.vertex, weights=part.error, minlength=count)
    colours = np.tile(np.asarray(BLANK), (count, 1))
    measured = times > 0
    colours[measured] = ramp_colors(sums[measured] / times[measured] / limit)
    return colours


def _views(sample: FaceSample, part: PointErrors, colours: Float[ndarray, "V 3"]) -> list[Image.Image]:
    axes = face_axes(sample.landmarks)
    middle_eyes = (sample.landmarks.point("left_eye_outer") + sample.landmarks.point("right_eye_outer")) / 2
    placed = (sample.vertices - middle_eyes) @ axes.T
    measured = placed[part.vertex]
    middle = (measured.min(0) + measured.max(0)) / 2
    extent = float((measured.max(0) - measured.min(0))[:2].max()) + 2 * MARGIN_MM
    head = torch.from_numpy(placed - middle).float()
    topology = Topology(
        torch.from_numpy(sample.faces), torch.zeros(1, 2), torch.zeros_like(torch.from_numpy(sample.faces))
    )
    count = len(YAWS)
    points = head @ turned_rotations([yaw for _, yaw in YAWS]).mT + torch.tensor([0.0, 0.0, 1000.0])
    camera = WeakPerspectiveCamera(
        torch.full((count,), PANEL / extent), torch.full((count, 2), PANEL / 2), (PANEL, PANEL)
    )
    light = soft_light(count, BRIGHTNESS, above=SLOPE, front=SLOPE)
    albedo = linear_from_srgb(torch.from_numpy(colours).float())[None]
    drawing = draw_mesh(
        points,
        topology,
        camera,
        Material(albedo=albedo),
        Lighting(light),
        settings=DrawSettings(supersample=2, cull_back_faces=False, antialias=False),
    )
    paper = linear_from_srgb(torch.tensor([int(PAPER[i : i + 2], 16) / 255 for i in (1, 3, 5)]))
    pictures = srgb_from_linear(over(drawing, paper).clamp(0, 1))
    return [Image.fromarray((picture * 255 + 0.5).to(torch.uint8).numpy()) for picture in pictures]


def _draw_bar(sheet: Image.Image, left: int, unit: Unit) -> None:
    """The colour bar with its numbers."""
    draw, small = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    top, height, width = HEADER + 20, PANEL - 40, 22
    ramp = ramp_colors(np.linspace(1, 0, height))
    pixels = np.repeat((ramp[:, None] * 255 + 0.5).astype(np.uint8), width, axis=1)
    sheet.paste(Image.fromarray(pixels), (left, top))
    limit = LIMIT[unit]
    for step in range(6):
        y = top + height - step / 5 * height
        more = "+" if step == 5 else ""
        draw.text((left + width + 8, y), f"{limit * step / 5:g}{more}", INK, small, anchor="lm")
    draw.text((left, top - 14), unit, INK, small, anchor="lm")
