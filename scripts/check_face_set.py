"""Read every label of a data set and some of its photos, say what is wrong, and draw a sheet to look at.

Example: ``python scripts/check_face_set.py aflw2000 AFLW2000 --annotation reannotated --out sheet.png``.
"""

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from facewright.core.errors import FacewrightError
from facewright.data.datasets.celeba import read_celeba
from facewright.data.datasets.celebamask_hq import read_celebamask_hq
from facewright.data.datasets.labelled_folders import read_labelled_folder
from facewright.data.datasets.large_poses import read_300w_lp, read_aflw2000
from facewright.data.datasets.lfw import read_lfw
from facewright.data.datasets.record import FacePhoto, FaceSet

READERS: dict[str, Callable[..., FaceSet]] = {
    "celeba": read_celeba,
    "celebamask-hq": read_celebamask_hq,
    "300w-lp": read_300w_lp,
    "aflw2000": read_aflw2000,
    "lfw": read_lfw,
    "faces_in_the_wild": lambda folder: read_labelled_folder(folder, "faces_in_the_wild"),
    "faces_in_colour": lambda folder: read_labelled_folder(folder, "faces_in_colour"),
}
CELL, COLUMNS = 240, 6
SHOWN = 5  # problems that are printed


def cell(photo: FacePhoto) -> np.ndarray:
    """A photo in a square with its landmarks and its box."""
    pixels = photo.image.read().pixels
    scale = CELL / max(pixels.shape[1:])
    size = [max(1, round(side * scale)) for side in pixels.shape[1:]]
    small = torch.nn.functional.interpolate(pixels[None], size=size, mode="bilinear", antialias=True)[0]
    canvas = np.zeros((CELL, CELL, 3), np.uint8)
    canvas[: size[0], : size[1]] = (small.permute(1, 2, 0) * 255).byte().numpy()
    picture = Image.fromarray(canvas)
    draw = ImageDraw.Draw(picture)
    if photo.landmarks is not None:
        for x, y in (photo.landmarks.points * scale).tolist():
            # Pillow draws between pixel centres, which lie at +0.5.
            draw.ellipse((x - 1.5, y - 1.5, x + 0.5, y + 0.5), fill=(60, 255, 60))
    if photo.box is not None:
        draw.rectangle((photo.box * scale).tolist(), outline=(255, 200, 0))
    return np.asarray(picture)


def problem(photo: FacePhoto) -> str | None:
    """What is odd about the labels of a photo."""
    marks = photo.landmarks
    if marks is not None and not bool(marks.points.isfinite().all()):
        return "landmarks that are not finite"
    if marks is not None and float((marks.points.amax(0) - marks.points.amin(0)).min()) < 4:
        return "landmarks that lie in one place"
    if photo.box is not None and bool((photo.box[2:] <= photo.box[:2]).any()):
        return "an empty box"
    return None


def main() -> None:
    """Check one set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(READERS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--annotation", help="of 300w-lp and aflw2000; pictures of celeba")
    parser.add_argument("--photos", type=int, default=24, help="that are decoded and drawn")
    parser.add_argument("--out", type=Path, default=Path("build/face_set.png"))
    options = parser.parse_args()
    try:
        photos = READERS[options.name](options.folder, *([options.annotation] if options.annotation else []))
    except FacewrightError as error:
        raise SystemExit(str(error)) from None
    print(f"{photos.name}: {len(photos)} photos; terms: {photos.licence_page}")
    found, people, problems = Counter[str](), set[str](), []
    for index in range(len(photos)):
        try:
            photo = photos[index]
        except FacewrightError as error:
            problems.append(str(error))
            continue
        found.update(name for name, value in vars(photo).items() if value is not None)
        people.add(photo.identity or "")
        if odd := problem(photo):
            problems.append(f"{photo.name} has {odd}")
    print(", ".join(f"{name} {count}" for name, count in found.items() if name not in ("set_name", "name")))
    print(f"{len(people - {''})} people; {len(problems)} photos with problems", *problems[:SHOWN], sep="\n  ")
    chosen = np.linspace(0, len(photos) - 1, options.photos).astype(int)
    cells = [cell(photos[int(index)]) for index in chosen]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % COLUMNS)
    rows = [np.concatenate(cells[k : k + COLUMNS], 1) for k in range(0, len(cells), COLUMNS)]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save(options.out)
    print(f"look at {options.out}")


if __name__ == "__main__":
    main()
