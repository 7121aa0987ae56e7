"""Aligned grey crops of the labelled photo folders, cut once and kept in one array file."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from facewright.core.assets import read_safetensors, sha256
from facewright.core.errors import DatasetError, InputError
from facewright.core.files import read_marker, write_json
from facewright.core.progress import ProgressBar
from facewright.core.row_file import joined_digest, row_file, rows_digest
from facewright.data.datasets.kept_out import is_kept_out
from facewright.data.datasets.labelled_folders import FolderName, read_labelled_folder, read_pairs
from facewright.data.datasets.record import FacePhoto, FaceSet, PhotoPair
from facewright.detection.aligned_crop import SIZE, TEMPLATE, aligned_crops, five_points, similarity
from facewright.detection.crop import luma

FOLDERS: tuple[FolderName, ...] = ("faces_in_the_wild", "faces_in_colour")
MARGIN = 8  # px around the crop that the network sees: room for shifts and turns
SIDE = SIZE + 2 * MARGIN
FORMAT = "facewright-crops-1"
MOST_OF_ONE = 6  # crops of a person that make kept-out pairs
KEPT_OUT_PAIRS = 1500  # of each kind at most


@dataclass(frozen=True)
class CropSet:
    """Crops of all photos in memory (a file that is mapped there).

    Attributes:
        pixels: luma, sRGB in 0 to 255, 8 px wider on each side than the crop that a network sees.
        identity: whose face each shows, "" if nobody knows.
        pairs: of the verification protocol, by number of the crops.
    """

    pixels: UInt8[ndarray, "N S S"]
    identity: tuple[str, ...]
    pairs: tuple[PhotoPair, ...]

    def __reduce__(self) -> tuple[object, ...]:
        """Travel to other processes by the file's name, not by its content."""
        mapped = self.pixels.filename if isinstance(self.pixels, np.memmap) else None
        if mapped is None:
            return CropSet, (self.pixels, self.identity, self.pairs)
        return _map_again, (Path(mapped), self.identity, self.pairs)

    @cached_property
    def digest(self) -> str:
        """Of the crops, of who is on them and of the pairs, to tell them from others."""
        told = json.dumps([self.identity, [[p.fold, p.first, p.second, p.same] for p in self.pairs]])
        who = hashlib.sha256(told.encode()).hexdigest()
        return joined_digest({"pixels": rows_digest(self.pixels), "told": who})

    def plain(self, chosen: Sequence[int] | ndarray) -> Float[Tensor, "B 1 112 112"]:
        """Some of the crops as a network sees them, unchanged."""
        return plain_crops(self.pixels, chosen)


def plain_crops(
    pixels: UInt8[ndarray, "N S S"], chosen: Sequence[int] | ndarray
) -> Float[Tensor, "B 1 112 112"]:
    """Crops without their margin, unchanged."""
    inner = pixels[np.asarray(chosen), MARGIN:-MARGIN, MARGIN:-MARGIN]
    return torch.from_numpy(inner).float()[:, None] / 255.0


def load_crops(data: Path, cache: Path) -> CropSet:
    """Crops of both labelled folders; cut on the first call (a minute) and read from ``cache`` after that.

    Args:
        data: folder of ``faces_in_the_wild`` and ``faces_in_colour``.
        cache: the array file to write or read, ``NAME.npy``; ``NAME.json`` beside it tells what it is of.

    Raises:
        DatasetError: a folder is missing or damaged.
        OutputError: the cache cannot be written.
    """
    sets = [read_labelled_folder(data / name, name) for name in FOLDERS]
    pairs = read_pairs(sets[0])
    identities = [_identities(photos) for photos in sets]
    marker = {
        "format": FORMAT,
        "side": SIDE,
        "labels": [sha256(photos.folder / "labels.npz") for photos in sets],
        "images": [(photos.folder / "images.tar").stat().st_size for photos in sets],
    }
    total = sum(len(photos) for photos in sets)
    sidecar = cache.with_suffix(".json")
    if not (cache.is_file() and read_marker(sidecar, 1 << 20) == marker):
        _cut(sets, total, cache)
        write_json(sidecar, marker)
    pixels = mapped(cache)
    if pixels.shape != (total, SIDE, SIDE) or pixels.dtype != np.uint8:
        raise DatasetError(f"{cache} holds {pixels.dtype} {pixels.shape}: remove it and run again.")
    return CropSet(pixels, tuple(who for part in identities for who in part), pairs)


def trained_people(crops: CropSet, kept_out_folds: Sequence[int]) -> dict[str, list[int]]:
    """The people that may be trained on, with the numbers of their crops, in order of their names.

    Nobody of the pairs in ``kept_out_folds``, and nobody whom the project keeps out of all training.
    """
    tested = people_of_folds(crops, kept_out_folds)
    return {
        who: rows
        for who, rows in crops_of_people(crops).items()
        if who not in tested and not is_kept_out(who)
    }


def kept_out_text(folds: Sequence[int]) -> str:
    """What the header of a weight file says of whom ``trained_people`` kept out."""
    return (
        "kept out: a tenth of the people (facewright/data/datasets/kept_out.py) and those in folds "
        f"{' '.join(map(str, folds))} of pairs.csv"
    )


def folds_kept_out(path: Path) -> frozenset[int] | None:
    """Folds whose people a weight file's training never showed, by its header; None where it does not say.

    Raises:
        AssetError: the file is missing or damaged.
    """
    _, header = read_safetensors(path)
    told = re.search(r"in folds ([0-9 ]+) of pairs\.csv", header.get("data", ""))
    return frozenset(map(int, told[1].split())) if told else None


def people_of_folds(crops: CropSet, folds: Sequence[int]) -> set[str]:
    """Everybody in the verification pairs of some folds."""
    chosen = [pair for pair in crops.pairs if pair.fold in set(folds)]
    return {crops.identity[number] for pair in chosen for number in (pair.first, pair.second)}


def crops_of_people(crops: CropSet) -> dict[str, list[int]]:
    """Numbers of the crops of each person, in order of their names."""
    people: dict[str, list[int]] = {}
    for number, who in enumerate(crops.identity):
        if who:
            people.setdefault(who, []).append(number)
    return dict(sorted(people.items()))


def kept_out_pairs(
    crops: CropSet, tested_folds: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of crops of people who are kept out of training and are in no tested fold, half of them of one.

    Raises:
        InputError: there are too few of them to measure anything.
    """
    seen = set(trained_people(crops, tested_folds)) | people_of_folds(crops, tested_folds)
    people = {who: rows[:MOST_OF_ONE] for who, rows in crops_of_people(crops).items() if who not in seen}
    rng = np.random.default_rng(0)
    same = [(a, b) for rows in people.values() for k, a in enumerate(rows) for b in rows[:k]]
    if len(same) < 10 or len(people) < 3:
        raise InputError(f"expected 10 pairs of kept-out people at least, got {len(same)}.")
    alike = rng.permutation(np.array(same))[:KEPT_OUT_PAIRS]
    groups = list(people.values())
    different = [
        tuple(int(rng.choice(groups[k])) for k in rng.choice(len(groups), 2, replace=False))
        for _ in range(len(alike))
    ]
    pairs = np.concatenate([alike, np.array(different)])
    order = rng.permutation(len(pairs))  # so that each fold of the figures has both kinds
    truth = np.arange(len(pairs)) < len(alike)
    return pairs[order, 0], pairs[order, 1], truth[order]


def crop_of(photo: FacePhoto) -> Float[Tensor, "1 1 S S"]:
    """The grey crop of a photo with landmarks of MediaPipe, with its margin.

    Raises:
        DatasetError: it has no such landmarks.
    """
    return crop_at(photo.image.read().pixels, _points_of(photo))


def crop_at(photo: Float[Tensor, "3 H W"], points: Float[Tensor, "478 2"]) -> Float[Tensor, "1 1 S S"]:
    """The grey crop of a photo (sRGB) with these landmarks, with its margin."""
    return aligned_crops(luma(photo)[None, None], five_points(points[None]), SIZE, margin=MARGIN)


def crop_landmarks(data: Path) -> Float[Tensor, "N 478 2"]:
    """The labelled landmarks of all photos of ``load_crops``, in its order, in px of its crops with a margin.

    Raises:
        DatasetError: a folder is missing or damaged, or a photo has no 478 landmarks.
    """
    return torch.cat(
        [
            points_in_crops(torch.stack([_points_of(photo) for photo in photos]))
            for photos in (read_labelled_folder(data / name, name) for name in FOLDERS)
        ]
    )


def points_in_crops(points: Float[Tensor, "N 478 2"]) -> Float[Tensor, "N 478 2"]:
    """Landmarks of photos, in px of the crops that ``crop_at`` cuts by them."""
    template = torch.tensor(TEMPLATE) + 0.5 + MARGIN
    photo_from_crop = similarity(five_points(points), template)
    linear, shift = photo_from_crop[:, :, :2], photo_from_crop[:, None, :, 2]
    return (points - shift) @ torch.linalg.inv(linear).mT


def as_bytes(crop: Float[Tensor, "1 1 S S"]) -> UInt8[ndarray, "1 S S"]:
    """A crop as its file keeps it."""
    return crop[0].mul(255).add(0.5).clamp(0, 255).byte().numpy()


def _points_of(photo: FacePhoto) -> Float[Tensor, "478 2"]:
    if photo.landmarks is None or photo.landmarks.scheme != "mediapipe478":
        raise DatasetError(f"{photo.name} of {photo.set_name} has no 478 landmarks to align it by.")
    return photo.landmarks.points


def mapped(cache: Path) -> np.ndarray:
    """An array file that stays on the disk until its rows are asked for.

    Raises:
        DatasetError: it is damaged.
    """
    try:
        return np.load(cache, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"{cache} is damaged ({error}): remove it and run again.") from error


def _map_again(cache: Path, identity: tuple[str, ...], pairs: tuple[PhotoPair, ...]) -> CropSet:
    return CropSet(mapped(cache), identity, pairs)


def _identities(photos: FaceSet) -> list[str]:
    return [photo.identity or "" for photo in photos]


def _cut(sets: list[FaceSet], total: int, cache: Path) -> None:
    with row_file(cache, (SIDE, SIDE), np.uint8) as rows, ProgressBar(total) as bar:
        for photos in sets:
            bar.name(f"crops of {photos.name}")
            for photo in photos:
                rows.append(as_bytes(crop_of(photo)))
                bar.advance()
