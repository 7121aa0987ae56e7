"""Draw what the specular method finds in photos of kept-out people on one sheet, to be judged by eye.

Example: ``python scripts/draw_specular.py --data ../shared/data --count 20 --out build/specular.png``.
A row of the sheet is a person, two beside each other: photo, the method's picture, its diffuse part, its
highlights, and the photo in another light (``facewright relight --light``).
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from draw_kept_out_heads import add_photo_options, asked_photos
from facewright.core.errors import FacewrightError
from facewright.detection.crop import cut_color_crops, frames_from_landmarks
from facewright.image.color import srgb_from_linear
from facewright.image.io import photograph_from_array
from facewright.methods.specular.frames import head_in_crop
from facewright.methods.specular.infer import SpecularMethod
from facewright.methods.specular.rendering import render
from facewright.methods.specular.settings import RenderSettings
from facewright.pipeline.reconstruct import Reconstructor
from facewright.pipeline.relight import Relighter
from facewright.pipeline.saved_head import load_head
from facewright.pipeline.settings import ReconstructionSettings
from facewright.scene.studio import PRESETS

PANEL, TEXELS = 176, 256


def row_of(
    pixels: np.ndarray, engine: Reconstructor, method: SpecularMethod, light: str
) -> Float[Tensor, "_ _ 3"]:
    """The panels of one person, sRGB."""
    photo = photograph_from_array(pixels, "photo")
    head = engine.reconstruct(photo)[0]
    points = head.detected_px[None]
    frame = frames_from_landmarks(points.double().numpy())
    found = method.reconstruct([photo.pixels], points)
    at = head_in_crop(found.parameters, torch.from_numpy(frame).float(), PANEL)
    drawn = render(method.model, at, RenderSettings(size=PANEL))
    with tempfile.TemporaryDirectory() as folder:
        head.save(Path(folder) / "head")
        relighter = Relighter.of(load_head(Path(folder) / "head"), photo)
    relit = srgb_from_linear(relighter.photo_in(relighter.lighting(PRESETS[light])))
    crops = [cut_color_crops(each, frame, PANEL)[0].permute(1, 2, 0) for each in (photo.pixels, relit)]
    panels = [crops[0], drawn.image[0], drawn.diffuse[0], srgb_from_linear(drawn.gloss[0]), crops[1]]
    return torch.cat(panels, dim=1).clamp(0, 1)


def main() -> None:
    """Read the options, reconstruct and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_photo_options(parser)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--light", choices=sorted(PRESETS), default="left")
    parser.add_argument("--out", type=Path, default=Path("build/specular.png"))
    options = parser.parse_args()
    photos = asked_photos(options)
    weights = None if options.weights is None else str(options.weights)
    engine = Reconstructor.load(
        ReconstructionSettings(method="specular", weights=weights, texture_size=TEXELS)
    )
    method, rows = SpecularMethod.load(weights=options.weights), []
    for number, pixels in enumerate(photos):
        try:
            rows.append(row_of(pixels, engine, method, options.light))
        except FacewrightError as error:
            print(f"{number}: {error}")
    if not rows:
        raise SystemExit("no photo could be reconstructed.")
    rows += [torch.zeros_like(rows[0])] * (len(rows) % 2)
    half = len(rows) // 2
    sheet = torch.cat([torch.cat(rows[:half]), torch.cat(rows[half:])], dim=1)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((sheet.numpy() * 255 + 0.5).astype(np.uint8)).save(options.out)
    print(f"{len(rows)} rows: look at {options.out}")


if __name__ == "__main__":
    main()
