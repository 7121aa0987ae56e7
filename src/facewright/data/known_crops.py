"""Aligned grey crops of synthetic photos, whose heads are known, cut once and kept in two array files."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy import ndarray

from facewright.core.errors import InputError
from facewright.core.files import read_marker, write_json
from facewright.core.progress import ProgressBar
from facewright.core.row_file import joined_digest, row_file, rows_digest
from facewright.data.aligned_faces import SIDE, as_bytes, crop_at, mapped, points_in_crops
from facewright.data.shard_reader import ShardSet, shard_paths

FORMAT = "facewright-known-crops-1"
POINTS = 478


@dataclass(frozen=True)
class KnownCrops:
    """Crops of synthetic photos in memory (files that are mapped there).

    Attributes:
        pixels: as those of ``CropSet``.
        landmarks: px of these.
        identity: coefficients of the head.
        head: its name and version.
    """

    pixels: UInt8[ndarray, "N S S"]
    landmarks: Float32[ndarray, "N 478 2"]
    identity: Float32[ndarray, "N K"]
    head: tuple[str, str]

    @cached_property
    def digest(self) -> str:
        """Of the crops and of what is known of them."""
        arrays = {"pixels": self.pixels, "landmarks": self.landmarks, "identity": self.identity}
        return joined_digest({name: rows_digest(array) for name, array in arrays.items()})


def load_known_crops(folders: Sequence[Path], cache: Path) -> KnownCrops:
    """Crops of sets of ``facewright synthesize``; cut on the first call and read from ``cache`` after that.

    Args:
        folders: as given to ``--out``, all of one head.
        cache: the array file to write or read, ``NAME.npy``; beside it come ``NAME.numbers.npy`` and
            ``NAME.json``, which tells what they are of.

    Raises:
        InputError: a folder has no whole shards, or they are of several heads.
        DatasetError: the cache is damaged.
        OutputError: the cache cannot be written.
    """
    paths = [path for folder in folders for path in shard_paths(folder)]
    of = {"format": FORMAT, "side": SIDE, "shards": [[path.name, path.stat().st_size] for path in paths]}
    numbers, sidecar = cache.with_suffix(".numbers.npy"), cache.with_suffix(".json")
    told = read_marker(sidecar, 1 << 20) or {}
    if not (cache.is_file() and numbers.is_file() and {name: told.get(name) for name in of} == of):
        told = of | {"head": _cut(ShardSet.open(*folders), cache, numbers)}
        write_json(sidecar, told)
    pixels, rows = mapped(cache), np.asarray(mapped(numbers))
    if pixels.shape != (len(rows), SIDE, SIDE) or rows.ndim != 2 or rows.shape[1] <= 2 * POINTS:
        raise InputError(f"{cache} holds {pixels.shape} and {rows.shape}: remove it and run again.")
    name, version = told["head"]
    landmarks, identity = rows[:, : 2 * POINTS].reshape(-1, POINTS, 2), rows[:, 2 * POINTS :]
    return KnownCrops(pixels, landmarks, np.ascontiguousarray(identity), (str(name), str(version)))


def _cut(photos: ShardSet, cache: Path, numbers: Path) -> list[str]:
    """Write both array files; returns name and version of the head."""
    first = photos.photo(0)
    head = first.model
    width = 2 * POINTS + first.parameters.identity.shape[1]
    with (
        row_file(cache, (SIDE, SIDE), np.uint8) as crops,
        row_file(numbers, (width,), np.float32) as rows,
        ProgressBar(len(photos)) as bar,
    ):
        bar.name("crops of synthetic photos")
        for number in range(len(photos)):
            photo = photos.photo(number)
            if photo.model != head:
                raise InputError(f"{photo.path} is of another head than {list(head)}: give sets of one head.")
            points = photo.points("landmarks478")[0]
            crops.append(as_bytes(crop_at(photo.image, points)))
            known = [points_in_crops(points[None]).flatten(), photo.parameters.identity[0]]
            rows.append(torch.cat(known)[None].numpy())
            bar.advance()
    return list(head)
