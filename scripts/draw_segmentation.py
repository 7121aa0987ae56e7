"""Draw what the segmentation network and the skin colours see in real photos nobody trained on; look at it.

Example: ``python scripts/draw_segmentation.py --photos ../shared/data --out build/segmentation.jpg``.
"""

import argparse
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from facewright.data.datasets.kept_out import is_kept_out
from facewright.detection import FaceDetector, FaceLandmarker, detect
from facewright.detection.crop import cut_color_crops
from facewright.detection.segmentation import FaceSegmenter
from facewright.detection.skin import SkinModel
from facewright.methods.segmentation.train import overlay
from facewright.pipeline.portraits import demo_portraits

SETS = ("faces_in_colour", "faces_in_the_wild")
TILE, COLUMNS = 160, 8


def kept_out(folder: Path, count: int, first: int) -> Iterator[Tensor]:
    """Photos of people whom no training saw, one a person."""
    with np.load(folder / "labels.npz", allow_pickle=False) as labels:
        names = [str(name) for name in labels["identity"]]
    firsts = {name: number for number, name in reversed(list(enumerate(names))) if is_kept_out(name)}
    chosen = sorted(firsts.values())
    chosen = set(chosen[first :: max(1, len(chosen) // count)][:count])
    with tarfile.open(folder / "images.tar") as archive:
        for number, member in enumerate(m for m in archive if m.isfile()):
            if number in chosen and (stream := archive.extractfile(member)) is not None:
                yield pixels(Image.open(io.BytesIO(stream.read())))


def pixels(picture: Image.Image) -> Tensor:
    """(3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1).float() / 255


def main() -> None:
    """Read the options and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, default=Path("../shared/data"))
    parser.add_argument("--weights", type=Path, help="instead of the shipped ones")
    parser.add_argument("--count", type=int, default=11, help="photos of each set")
    parser.add_argument("--first", type=int, default=0, help="which of the people comes first")
    parser.add_argument("--out", type=Path, default=Path("build/segmentation.jpg"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    detector, landmarker = FaceDetector.load(), FaceLandmarker.load()
    segmenter, skin = FaceSegmenter.load(weights=options.weights), SkinModel.load()
    photos = [pixels(Image.open(path)) for path in demo_portraits().values()]
    photos += [
        photo for name in SETS for photo in kept_out(options.photos / name, options.count, options.first)
    ]
    tiles = []
    for photo in photos:
        faces = detect(photo, detector=detector, landmarker=landmarker)[:1]
        if not faces:
            continue
        found = segmenter([photo], [faces[0].points])
        crop = cut_color_crops(photo, found.frames, TILE)
        classes = torch.nn.functional.interpolate(found.probabilities, (TILE, TILE), mode="bilinear")
        likely = skin.probability(crop)[:, None].expand(-1, 3, -1, -1)
        tiles.append(torch.cat([crop, overlay(crop, classes), likely], 2)[0])
    print(f"{len(tiles)} of {len(photos)} photos have a face")
    tiles += [torch.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    rows = [torch.cat(tiles[k : k + COLUMNS], 2) for k in range(0, len(tiles), COLUMNS)]
    sheet = (torch.cat(rows, 1).permute(1, 2, 0).clamp(0, 1) * 255 + 0.5).to(torch.uint8).numpy()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(options.out, quality=90)


if __name__ == "__main__":
    main()
