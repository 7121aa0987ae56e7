"""Cut the crops on which the segmentation network is trained, with what is known of their pixels.

Example: ``python scripts/cut_segmentation_crops.py --synthetic build/celeba build/300wlp --photos
../shared/data --out build/crops``. What is in ``--out`` already is left alone. Synthetic photos (``facewright
synthesize``) are labelled exactly; of real photos the landmarks tell what a pixel may be. Identities that are
kept out stay out.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from facewright.core.errors import FacewrightError, InputError
from facewright.core.progress import ProgressBar
from facewright.data.datasets.kept_out import is_kept_out
from facewright.data.datasets.labelled_folders import FolderName, read_labelled_folder
from facewright.data.shard_reader import ShardSet
from facewright.detection.crop import crop_from_photo, frames_from_landmarks
from facewright.methods.segmentation.crops import (
    KEPT_OUT,
    STORED,
    SYNTHETIC,
    cut_image,
    cut_label,
    wide,
    write_crops,
)
from facewright.methods.segmentation.labels import labels_of_landmarks, labels_of_masks

SETS: tuple[FolderName, ...] = ("faces_in_colour", "faces_in_the_wild")
Crops = Iterator[tuple[np.ndarray, np.ndarray]]


def synthetic(folder: Path, first: int, count: int) -> Crops:
    """Crops of ``count`` synthetic photos from the ``first`` on."""
    stored = ShardSet.open(folder, limit=first + count)
    for number in range(first, min(first + count, len(stored))):
        photo = stored.photo(number)
        points, _ = photo.points("landmarks478")
        frame = wide(frames_from_landmarks(points.double().numpy()[None]))
        yield cut_image(photo.image, frame), cut_label(labels_of_masks(photo.masks), frame)


def real(folder: Path, name: FolderName, count: int, *, kept_out: bool = False) -> Crops:
    """Crops of ``count`` photos of a labelled set, spread over it."""
    photos = read_labelled_folder(folder, name)
    usable = np.flatnonzero([is_kept_out(photo.identity or "") == kept_out for photo in photos])
    chosen = usable[np.linspace(0, len(usable) - 1, min(count, len(usable))).round().astype(int)]
    for photo in photos.select(sorted(set(chosen.tolist()))):
        if photo.landmarks is None:
            raise InputError(f"{photo.name} has no landmarks.")
        points = photo.landmarks.points.double().numpy()[None]
        frame = wide(frames_from_landmarks(points))
        label = labels_of_landmarks(crop_from_photo(points, frame)[0] * STORED, STORED)
        yield cut_image(photo.image.read().pixels, frame), label.numpy()


def main() -> None:
    """Read the options and cut."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--synthetic", type=Path, nargs="+", required=True)
    parser.add_argument("--photos", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("build/crops"))
    parser.add_argument("--most", type=int, default=2700, help="photos of each set for training")
    parser.add_argument("--kept-out", type=int, default=200, help="photos of each set for the evaluation")
    options = parser.parse_args()
    try:
        cut_all(options)
    except FacewrightError as error:
        raise SystemExit(f"cut_segmentation_crops: {error}") from None


def cut_all(options: argparse.Namespace) -> None:
    """Cut what is not there yet."""
    torch.set_num_threads(1)
    cuts: list[tuple[str, int, Callable[[int], Crops]]] = []
    for folder in options.synthetic:
        name = f"{SYNTHETIC}{folder.name}"
        cuts.append((name, options.most, partial(synthetic, folder, 0)))
        cuts.append((f"{name}{KEPT_OUT}", options.kept_out, partial(synthetic, folder, options.most)))
    for name in SETS:
        cuts.append((name, options.most, partial(real, options.photos / name, name)))
        cuts.append(
            (f"{name}{KEPT_OUT}", options.kept_out, partial(real, options.photos / name, name, kept_out=True))
        )
    for name, count, cut in cuts:
        if (options.out / name).exists():
            continue
        print(f"{name}: {count}", flush=True)
        with ProgressBar(count, unit="crop") as bar:
            write_crops(options.out / name, counted(cut(count), bar), count)


def counted(crops: Crops, bar: ProgressBar) -> Crops:
    """Pass crops on while the bar moves."""
    for crop in crops:
        yield crop
        bar.advance()


if __name__ == "__main__":
    main()
