"""Folders ``faces_in_the_wild`` and ``faces_in_colour``: photos in a tar, a landmarker's labels in an npz."""

import csv
import tarfile
import zipfile
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from facewright.data.datasets.layout import SetPlace
from facewright.data.datasets.record import FacePhoto, FaceSet, LabelledPoints, PhotoPair, StoredImage

FolderName = Literal["faces_in_the_wild", "faces_in_colour"]
LICENCE_PAGES = {
    "faces_in_the_wild": "http://vis-www.cs.umass.edu/lfw/",
    "faces_in_colour": "https://www.cs.tau.ac.il/~wolf/ytfaces/",
}
STEPS = 64.0  # of the stored landmarks in a pixel
LEVELS = 255.0  # of the stored activations
SHAPES = {"names": (), "identity": (), "landmarks": (478, 3), "blendshapes": (52,), "transform": (4, 4)}
TEACHER = "MediaPipe face landmarker"
MAX_PHOTOS = 1_000_000
LAYOUT = "images.tar, labels.npz and, for verification, pairs.csv"


def read_labelled_folder(folder: Path, name: FolderName) -> FaceSet:
    """Open one of the two folders.

    Landmarks are those of the MediaPipe face landmarker, whose pixels are ours already (they go from 0 to the
    width). ``coefficients`` are its 52 ``blendshapes`` in [0, 1] and its ``transform`` (4, 4).

    Args:
        folder: with ``images.tar`` and ``labels.npz``.
        name: which of the two.

    Raises:
        DatasetError: something is missing, or tar and labels do not fit each other.
    """
    place = _place(folder, name)
    place.require(["images.tar", "labels.npz"])
    labels = _labels(place)
    names = [str(stored) for stored in labels["names"]]
    images = _members(place, names)

    def load(index: int) -> FacePhoto:
        stored = torch.from_numpy(labels["landmarks"][index].astype(np.float32)) / STEPS
        activations = torch.from_numpy(labels["blendshapes"][index].astype(np.float32)) / LEVELS
        transform = torch.from_numpy(labels["transform"][index].astype(np.float32))
        points = LabelledPoints(
            "mediapipe478", stored[:, :2], stored[:, 2], source="MediaPipe face landmarker"
        )
        return FacePhoto(
            name,
            names[index],
            images[index],
            identity=str(labels["identity"][index]) or None,
            landmarks=points,
            coefficients={"blendshapes": activations, "transform": transform},
        )

    return FaceSet(name, LICENCE_PAGES[name], folder, names, load)


def read_pairs(photos: FaceSet) -> tuple[PhotoPair, ...]:
    """Verification pairs of ``pairs.csv`` (columns fold, first, second, same) of the folder of ``photos``.

    Raises:
        DatasetError: there is no such file, or it names photos that are not there.
    """
    place = _place(photos.folder, "faces_in_the_wild")
    place.require(["pairs.csv"])
    path = photos.folder / "pairs.csv"
    number = {name: index for index, name in enumerate(photos.names)}
    pairs = []
    for line, row in enumerate(csv.DictReader(place.lines(path)), 2):
        try:
            first, second = number[row["first"]], number[row["second"]]
            fold, same = int(row["fold"]), {"0": False, "1": True}[row["same"]]
        except (KeyError, ValueError, TypeError) as error:
            raise place.damaged(path, f"line {line}: {error}") from error
        pairs.append(PhotoPair(fold, first, second, same))
    return tuple(pairs)


def _place(folder: Path, name: FolderName) -> SetPlace:
    return SetPlace(name, folder, LICENCE_PAGES[name], LAYOUT)


def _labels(place: SetPlace) -> dict[str, np.ndarray]:
    path = place.folder / "labels.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {key: _checked(stored, key) for key in SHAPES}
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile) as error:
        raise place.damaged(path, str(error)) from error
    count = len(arrays["names"])
    wrong = [key for key, array in arrays.items() if array.shape != (count, *SHAPES[key])]
    if wrong or count > MAX_PHOTOS:
        raise place.damaged(path, f"{wrong[0] if wrong else 'names'} has an unexpected shape")
    return arrays


def _checked(stored: np.lib.npyio.NpzFile, key: str) -> np.ndarray:
    array = stored[key]
    if array.dtype.kind not in "fiuU" or array.ndim == 0:
        raise ValueError(f"{key} holds {array.dtype}")
    return array


def _members(place: SetPlace, names: list[str]) -> list[StoredImage]:
    """Where the pictures lie in the tar; several may have one name, so that they go by their order."""
    path = place.folder / "images.tar"
    try:
        with tarfile.open(path, "r:") as archive:
            files = [
                StoredImage(path, Path(member.name).name, member.offset_data, member.size)
                for member in archive
                if member.isfile()
            ]
    except (tarfile.TarError, OSError, EOFError) as error:
        raise place.damaged(path, str(error)) from error
    if len(files) != len(names):
        raise place.damaged(path, f"it holds {len(files)} pictures, the labels {len(names)}")
    for file, name in zip(files, names, strict=True):
        if file.name != name:
            raise place.damaged(path, f"expected picture {name} next, found {file.name}")
    end = path.stat().st_size
    if files and files[-1].offset + (files[-1].length or 0) > end:
        raise place.damaged(path, f"it ends in the middle of {files[-1].name}")
    return files
