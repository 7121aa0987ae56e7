"""Draw what the segmentation network and the skin colours see in real photos nobody trained on; look at it.

Example: ``python scripts/draw_segmentation.py --photos ../shared/data --out build/segmentation.jpg``.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from facewright.detection import FaceDetector, FaceLandmarker, detect
from facewright.detection.crop import cut_color_crops
from facewright.detection.segmentation import FaceSegmenter
from facewright.detection.skin import SkinModel
from facewright.image.io import read_photo
from facewright.methods.segmentation.train import overlay
from facewright.pipeline.portraits import demo_portraits
from training_data.photos import SETS, kept_out_people

TILE, COLUMNS = 160, 8


def kept_out(data: Path, source: int, count: int, first: int) -> Iterator[Tensor]:
    """Photos of people whom no training saw, one a person."""
    people = kept_out_people(data, source)
    for photo in people[first :: max(1, len(people) // count)][:count]:
        yield photo.image.read().pixels


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
    photos = [read_photo(path).pixels for path in demo_portraits().values()]
    for source in range(len(SETS)):
        photos += kept_out(options.photos, source, options.count, options.first)
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
