"""Make photos ready to train the specular method on: crops, landmarks, the fit to them, the truth.

    python scripts/prepare_specular.py --synthetic DIR [DIR ...] --data ../shared/data --out FOLDER

``--synthetic`` are folders of ``facewright synthesize``; ``--data`` holds faces_in_colour and
faces_in_the_wild, of which a tenth of the people is kept out (``facewright/data/datasets/kept_out.py``). What
the examples are of is kept with them, and with the weights that are trained on them.
"""

import argparse
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from facewright.core.assets import asset_path, sha256
from facewright.core.errors import FacewrightError, InputError
from facewright.core.files import read_marker
from facewright.data.datasets.kept_out import is_kept_out
from facewright.data.datasets.labelled_folders import FolderName, read_labelled_folder
from facewright.data.shard_reader import ShardSet
from facewright.detection.segmentation import WEIGHTS as SEGMENTATION
from facewright.detection.segmentation import FaceSegmenter
from facewright.detection.skin import SkinModel
from facewright.methods.specular.examples import write_examples
from facewright.methods.specular.prepare import Preparer, SourcePhoto, real_photos, synthetic_photos
from facewright.models.base import load_base_model
from facewright.pipeline.synthesize import MAX_SETTINGS, SETTINGS

SETS: tuple[FolderName, ...] = ("faces_in_colour", "faces_in_the_wild")


def labelled(folder: Path, name: FolderName, count: int) -> Iterator[tuple[torch.Tensor, torch.Tensor, bool]]:
    """Photos of a set with their landmarks and whether the person is kept out, ``count`` evenly spread."""
    photos = read_labelled_folder(folder, name)
    chosen = set(np.linspace(0, len(photos) - 1, min(count, len(photos))).astype(int).tolist())
    for photo in photos.select(sorted(chosen)):
        if photo.landmarks is None:
            raise InputError(f"{photo.name} has no landmarks.")
        yield photo.image.read().pixels, photo.landmarks.points, is_kept_out(photo.identity or "")


def counted(photos: Iterator[SourcePhoto], total: int) -> Iterator[SourcePhoto]:
    """The same photos, with a line now and then."""
    start = time.time()
    for number, photo in enumerate(photos, 1):
        yield photo
        if number % 500 == 0:
            print(f"{number} of {total}, {number / (time.time() - start):.1f} a second", flush=True)


def synthesized(folder: Path) -> dict[str, object]:
    """What a folder of ``facewright synthesize`` says of itself; its name alone if it holds bare shards."""
    told = read_marker(folder / SETTINGS, MAX_SETTINGS)
    if told is None:
        return {"name": folder.name}
    return {
        "name": told.get("protocol"),
        "seed": told.get("seed"),
        "settings": sha256(folder / SETTINGS)[:16],
    }


def main() -> None:
    """Read the options, check what can be checked at once, and prepare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--synthetic", type=Path, nargs="*", default=[])
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--limit", type=int, help="synthetic photos of each folder at most")
    parser.add_argument("--colour", type=int, default=4740, help="photos of faces_in_colour at most")
    parser.add_argument("--grey", type=int, default=1500, help="photos of faces_in_the_wild at most")
    parser.add_argument("--kept-out", type=int, default=300, help="synthetic photos that are kept out")
    parser.add_argument(
        "--segmentation", type=Path, help="weights of your own; the shipped ones if not given"
    )
    parser.add_argument("--outline", action="store_true", help="landmarks outline the face, no segmentation")
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.outline and options.segmentation is not None:
        parser.error("expected --outline or --segmentation, got both")
    if not options.synthetic and options.data is None:
        parser.error("expected --synthetic, --data, or both")
    sets = [] if options.data is None else [options.data / name / "labels.npz" for name in SETS]
    for labels in sets:
        if not labels.is_file():
            parser.error(f"expected {' and '.join(SETS)} in {options.data}, found no {labels}")
    try:
        prepare(options)
    except FacewrightError as error:
        raise SystemExit(f"prepare_specular: {error}") from None


def prepare(options: argparse.Namespace) -> None:
    """Make the examples that were asked for."""
    torch.set_num_threads(1)
    model = load_base_model()
    preparer = Preparer.of(model, options.size)
    weights = options.segmentation or asset_path(SEGMENTATION)
    segmenter = None if options.outline else FaceSegmenter.load(weights=weights)
    photos: list[Iterator[SourcePhoto]] = []
    sets: list[dict[str, object]] = []
    total = 0
    for folder in options.synthetic:
        shards = ShardSet.open(folder, limit=options.limit)
        kept_out = options.kept_out // len(options.synthetic)
        if kept_out >= len(shards):
            raise InputError(f"{folder} has {len(shards)} photos: expected fewer kept out, got {kept_out}.")
        photos.append(synthetic_photos(shards, kept_out, model))
        sets.append({**synthesized(folder), "photos": len(shards), "kept_out": kept_out})
        total += len(shards)
    if options.data is not None:
        for name, count in zip(SETS, (options.colour, options.grey), strict=True):
            photos.append(
                real_photos(labelled(options.data / name, name, count), SkinModel.load(), segmenter)
            )
            sets.append({"name": name, "photos": count})
            total += count
    face = "outline" if options.outline else sha256(weights)[:16]
    source = {"sets": sets, **({} if options.data is None else {"segmentation": face})}
    everything = counted(chain(*photos), total)
    with torch.no_grad():
        made = write_examples(options.out, preparer.examples(everything), options.size, model, source)
    print(f"{options.out}: {made} examples of {total} photos")


if __name__ == "__main__":
    main()
