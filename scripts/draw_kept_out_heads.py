"""Reconstruct photos of kept-out people and draw them on one sheet, to be judged by eye.

Example: ``python scripts/draw_kept_out_heads.py --data ../shared/data --count 20 --out build/heads.png``.
A row of the sheet is a person: photo, fit over the photo, clay from the front and in profile, texture from
the front and turned by 45 degrees.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from facewright.core.errors import FacewrightError
from facewright.image.color import linear_from_srgb, srgb_from_linear
from facewright.image.io import photograph_from_array
from facewright.image.warp import crop_box
from facewright.pipeline.reconstruct import Reconstructor
from facewright.pipeline.result import Reconstruction
from facewright.pipeline.views import (
    head_finish,
    photo_overlay,
    turned_views,
    zoomed_camera,
)
from training_data.photos import kept_out_people, picture

PANEL = 224
GREY = (0.3, 0.3, 0.3)  # linear
YAWS = (0.0, math.radians(90), math.radians(45))


def kept_out_photos(data: Path, count: int, seed: int) -> list[np.ndarray]:
    """Photos (H, W, 3) uint8 of different people, half of them of each set."""
    rng = np.random.default_rng(seed)
    chosen: list[np.ndarray] = []
    for source, share in enumerate((count - count // 2, count // 2)):
        people = kept_out_people(data, source)
        chosen += [picture(people[row]) for row in rng.permutation(len(people))[:share]]
    return chosen


def add_photo_options(parser: argparse.ArgumentParser) -> None:
    """Which photos a sheet shows."""
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--photos", type=Path, nargs="*", help="these photos instead of kept-out people")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)


def asked_photos(options: argparse.Namespace) -> list[np.ndarray]:
    """Photos (H, W, 3) uint8 of ``add_photo_options``."""
    if options.photos:
        return [np.array(Image.open(path).convert("RGB")) for path in options.photos]
    return kept_out_photos(options.data, options.count, options.seed)


def row_of(head: Reconstruction) -> np.ndarray:
    """The panels of one person (PANEL, 6 PANEL, 3) uint8."""
    low, high = head.detected_px.min(0).values, head.detected_px.max(0).values
    side = float((high - low).max()) * 1.9
    left, top = ((low + high) / 2 - side / 2).tolist()
    box = (left, top - side / 12, left + side, top + side - side / 12)
    photo = crop_box(head.photo.pixels, box, (PANEL, PANEL), outside=0.3).permute(1, 2, 0)
    camera = zoomed_camera(head.parameters.camera, box, PANEL)
    topology = head.model.topology
    overlay = photo_overlay(
        head.vertices, topology, head.parameters.pose, camera, linear_from_srgb(photo), opacity=0.7
    )
    finish = head_finish(head.model, head.vertices, hair=head.hair, relief=head.relief, glasses=head.glasses)
    clay, textured = turned_views(head.vertices, topology, head.albedo, YAWS, PANEL, GREY, finish=finish)
    drawn = [srgb_from_linear(view) for view in (overlay, clay[0], clay[1], textured[0], textured[2])]
    row = torch.cat([photo, *drawn], dim=1).clamp(0, 1)
    return (row.numpy() * 255 + 0.5).astype(np.uint8)


def main() -> None:
    """Read the options, reconstruct and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_photo_options(parser)
    parser.add_argument("--out", type=Path, default=Path("build/kept_out_heads.png"))
    options = parser.parse_args()
    photos = asked_photos(options)
    engine, rows, residuals = Reconstructor.load(), [], []
    for number, pixels in enumerate(photos):
        try:
            head = engine.reconstruct(photograph_from_array(pixels, f"photo {number}"))[0]
        except FacewrightError as error:
            print(f"{number}: {error}")
            continue
        rows.append(row_of(head))
        residuals.append(100 * head.residual)
    half = (len(rows) + 1) // 2
    rows += [np.zeros_like(rows[0])] * (2 * half - len(rows))
    sheet = np.concatenate([np.concatenate(rows[:half]), np.concatenate(rows[half:])], axis=1)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(options.out)
    print(
        f"{len(residuals)} of {len(photos)} reconstructed, landmark fit {np.mean(residuals):.2f} % on average"
    )
    print(f"look at {options.out}")


if __name__ == "__main__":
    main()
