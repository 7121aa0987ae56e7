"""Labelled photographs in memory as one block of grey pixels.

Both sets store images in a tar and labels in an npz. One tar has several members of one name, so images and
labels are matched by their order, and the names are compared one by one.
"""

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from facewright.data.datasets.kept_out import is_kept_out

SETS = ("faces_in_the_wild", "faces_in_colour")
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
        ValueError: the tar and the labels do not name the same images in the same order.
    """
    folder = root / SETS[source]
    with np.load(folder / "labels.npz", allow_pickle=False) as labels:
        names = labels["names"][:limit]
        identity = labels["identity"][:limit]
        landmarks = labels["landmarks"][:limit].astype(np.float32) / 64.0
        expression = labels["blendshapes"][:limit].astype(np.float32) / 255.0
    blocks, sizes = [], []
    with tarfile.open(folder / "images.tar") as tar:
        members = (member for member in tar if member.isfile())
        for name, member in zip(names, members, strict=limit is None):
            if Path(member.name).name != name:
                raise ValueError(f"{folder}: expected image {name}, found {member.name}")
            stream = tar.extractfile(member)
            assert stream is not None
            grey = np.asarray(Image.open(io.BytesIO(stream.read())).convert("L"))
            sizes.append(grey.shape)
            blocks.append(grey.ravel())
    lengths = np.array([len(block) for block in blocks], np.int64)
    return PhotoSet(
        np.concatenate(blocks),
        np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64),
        np.array(sizes, np.int64),
        landmarks,
        expression,
        np.array([is_kept_out(str(name)) for name in identity]),
        np.full(len(blocks), source, np.int64),
    )


def load_photos(root: Path, limit: int | None = None) -> PhotoSet:
    """Both labelled sets."""
    return join([load_set(root, source, limit) for source in range(len(SETS))])
