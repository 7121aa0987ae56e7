"""Write backdrops and what a detector takes for faces there, for ``train_landmarker.py --backdrops``."""

import argparse
from pathlib import Path

import numpy as np
import torch

from facewright.detection import DetectionSettings, FaceDetector
from facewright.detection.crop import CROP_MARGIN
from training_data.canvases import backdrop_bank
from training_data.photos import PhotoSet, load_photos

SURE = 0.5


def beside_face(
    photos: PhotoSet, index: int, detector: FaceDetector, settings: DetectionSettings
) -> list[tuple[float, ...]]:
    """Unsure finds of the detector off the labelled face; sure ones may be unlabelled faces."""
    points = photos.landmarks[index, :, :2]
    low, high = points.min(0), points.max(0)
    grey = torch.from_numpy(photos.image(index).astype(np.float32) / 255.0)
    rows = []
    for face in detector.search(grey, settings):
        reach = 0.5 * (face.side + float((high - low).max()))
        apart = np.hypot(*(np.array(face.center) - 0.5 * (low + high))) > 0.9 * reach
        if apart and face.score < SURE:
            rows.append((index, *face.center, face.side * CROP_MARGIN, face.roll))
    return rows


def main() -> None:
    """Run the detector over backdrops made from the training identities."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--detector", type=Path, help="weights other than the shipped ones")
    parser.add_argument("--out", type=Path, default=Path("build/backdrops.npz"))
    parser.add_argument("--count", type=int, default=1500)
    parser.add_argument("--photos", type=int, default=2000, help="colour photos to mine")
    parser.add_argument("--min-score", type=float, default=0.15)
    parser.add_argument("--seed", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    photos = load_photos(options.data)
    rng = np.random.default_rng(options.seed)
    bank = backdrop_bank(photos.select(~photos.kept_out), rng, options.count, 384)
    detector = FaceDetector.load(path=options.detector)
    settings = DetectionSettings(min_score=options.min_score)
    rows = []
    for index, image in enumerate(bank):
        for face in detector.search(torch.from_numpy(image.astype(np.float32) / 255.0), settings):
            rows.append((index, *face.center, face.side * CROP_MARGIN, face.roll))
    seen = photos.select(~photos.kept_out)
    colour = rng.permutation(np.flatnonzero(seen.source == 1))[: options.photos]
    beside = [row for index in colour for row in beside_face(seen, int(index), detector, settings)]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        options.out,
        images=bank,
        false_faces=np.array(rows, np.float64).reshape(-1, 5),
        beside_faces=np.array(beside, np.float64).reshape(-1, 5),
    )
    print(f"{len(rows)} false faces on {len(bank)} backdrops, {len(beside)} on photos -> {options.out}")


if __name__ == "__main__":
    main()
