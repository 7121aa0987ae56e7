"""Labelled photographs in memory as one block of grey pixels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from facewright.core.errors import DatasetError
from facewright.data.datasets.kept_out import is_kept_out
from facewright.data.datasets.labelled_folders import FolderName, read_labelled_folder
from facewright.data.datasets.record import FacePhoto

SETS: tuple[FolderName, ...] = ("faces_in_the_wild", "faces_in_colour")
TURNED, RENDERED = 2, 3  # sources beside the photographs: rotate-and-render, renderings of the base model


@dataclass(frozen=True)
class PhotoSet:
    """Grey photographs with 478 labelled points each.

    Attributes:
        pixels: all images, row by row, one after another (uint8).
        offsets: where each image starts in ``pixels``.
        sizes: (N, 2) height, width.
        landmarks: (N, 478, 3) px of the image, z in the same scale.
        expression: (N, 52) activations in [0, 1].
        kept_out: (N,) never to be trained on.
        source: (N,) index into ``SETS``, ``TURNED`` or ``RENDERED``.
    """

    pixels: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray
    landmarks: np.ndarray
    expression: np.ndarray
    kept_out: np.ndarray
    source: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets)

    def image(self, index: int) -> np.ndarray:
        """One image (H, W) uint8, a view."""
        height, width = self.sizes[index]
        start = self.offsets[index]
        return self.pixels[start : start + height * width].reshape(height, width)

    def select(self, mask: np.ndarray) -> "PhotoSet":
        """The photos where ``mask`` holds; pixels are shared, not copied."""
        return PhotoSet(
            self.pixels,
            self.offsets[mask],
            self.sizes[mask],
            self.landmarks[mask],
            self.expression[mask],
            self.kept_out[mask],
            self.source[mask],
        )


def join(sets: list[PhotoSet]) -> PhotoSet:
    """Several sets as one."""
    starts = np.cumsum([0] + [len(s.pixels) for s in sets[:-1]])
    return PhotoSet(
        np.concatenate([s.pixels for s in sets]),
        np.concatenate([s.offsets + start for s, start in zip(sets, starts, strict=True)]),
        *(
            np.concatenate([getattr(s, name) for s in sets])
            for name in ("sizes", "landmarks", "expression", "kept_out", "source")
        ),
    )


def save_made(photos: PhotoSet, path: Path) -> None:
    """Write made faces (turned, rendered)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{name: getattr(photos, name) for name in photos.__dataclass_fields__})


def load_made(path: Path) -> PhotoSet:
    """Read what ``scripts/turn_faces.py`` or ``scripts/render_faces.py`` wrote."""
    with np.load(path, allow_pickle=False) as data:
        return PhotoSet(**{name: data[name] for name in data.files})


def load_set(root: Path, source: int, limit: int | None = None) -> PhotoSet:
    """Read one of the two labelled sets, grey, in label order.

    Raises:
        DatasetError: it is not there, damaged, or its tar and its labels do not fit each other.
    """
    photos = read_labelled_folder(root / SETS[source], SETS[source])
    blocks, sizes, landmarks, expression, kept_out = [], [], [], [], []
    for index in range(min(limit or len(photos), len(photos))):
        photo = photos[index]
        grey = np.asarray(Image.fromarray(picture(photo)).convert("L"))
        sizes.append(grey.shape)
        blocks.append(grey.ravel())
        landmarks.append(landmarks_of(photo))
        expression.append((photo.coefficients or {})["blendshapes"].numpy())
        kept_out.append(is_kept_out(photo.identity or ""))
    lengths = np.array([len(block) for block in blocks], np.int64)
    return PhotoSet(
        np.concatenate(blocks),
        np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64),
        np.array(sizes, np.int64),
        np.stack(landmarks),
        np.stack(expression),
        np.array(kept_out),
        np.full(len(blocks), source, np.int64),
    )


def picture(photo: FacePhoto) -> np.ndarray:
    """A photo (H, W, 3) uint8."""
    return photo.image.read().pixels.permute(1, 2, 0).mul(255).round().byte().numpy()


def landmarks_of(photo: FacePhoto) -> np.ndarray:
    """The 478 points (478, 3) px, z in the same scale.

    Raises:
        DatasetError: it has none with a depth.
    """
    points = photo.landmarks
    if points is None or points.depth is None:
        raise DatasetError(f"{photo.name} has no landmarks with a depth.")
    return torch.cat([points.points, points.depth[:, None]], dim=1).numpy()


def kept_out_people(root: Path, source: int) -> list[FacePhoto]:
    """The first photo of everybody in a set whom no training saw, by name."""
    photos = read_labelled_folder(root / SETS[source], SETS[source])
    first: dict[str, FacePhoto] = {}
    for photo in photos:
        if is_kept_out(photo.identity or ""):
            first.setdefault(photo.identity or "", photo)
    return [first[name] for name in sorted(first)]


def load_photos(root: Path, limit: int | None = None) -> PhotoSet:
    """Both labelled sets."""
    return join([load_set(root, source, limit) for source in range(len(SETS))])
