"""Crops with labels in files that are mapped into memory: processes share them, a batch reads its own."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from facewright.core.errors import InputError
from facewright.core.files import atomic_folder, read_marker, write_json
from facewright.core.row_file import joined_digest, read_apart, row_file, rows_digest
from facewright.detection.crop import cut_color_crops, sampling_grid
from facewright.methods.segmentation.labels import ANY

STORED = 168  # px of a stored crop
ROOM = 1.3  # its side over that of the crop that the network gets, so that this one may move
FORMAT_FILE, IMAGES, LABELS = "crops-1", "images.npy", "labels.npy"
MAX_MARKER = 1 << 16
SYNTHETIC, KEPT_OUT = "synthetic_", "_kept_out"  # beginning and end of the names of folders of crops


def wide(frames: Float[np.ndarray, "B 4"]) -> Float[np.ndarray, "B 4"]:
    """Frames of stored crops around those of the network."""
    return frames * np.array([1.0, 1.0, ROOM, 1.0])


def cut_image(photo: Float[Tensor, "3 H W"], frame: Float[np.ndarray, "1 4"]) -> UInt8[np.ndarray, "S S 3"]:
    """The pixels of a wide frame; beyond the photo its border goes on."""
    crop = cut_color_crops(photo, frame, STORED)[0].clamp(0, 1)
    return (crop.permute(1, 2, 0) * 255 + 0.5).to(torch.uint8).numpy()


def cut_label(label: UInt8[Tensor, "H W"], frame: Float[np.ndarray, "1 4"]) -> UInt8[np.ndarray, "S S"]:
    """The labels of a wide frame; beyond the photo anything may be."""
    grid = sampling_grid(frame, STORED, label[None, None].float())
    known = functional.grid_sample(label[None, None].float(), grid[None], "nearest", "zeros", False)
    read = known[0, 0].round().to(torch.uint8)
    return torch.where(read == 0, ANY, read).to(torch.uint8).numpy()


def write_crops(folder: Path, crops: Iterable[tuple[np.ndarray, np.ndarray]], count: int) -> None:
    """Write at most ``count`` crops, whole or not at all.

    Raises:
        OutputError: they cannot be written.
        InputError: there are none.
    """
    with atomic_folder(folder) as partial:
        with (
            row_file(partial / IMAGES, (STORED, STORED, 3), np.uint8) as images,
            row_file(partial / LABELS, (STORED, STORED), np.uint8) as labels,
        ):
            for image, label in islice(read_apart(crops), count):
                images.append(image[None])
                labels.append(label[None])
        if images.count < count:
            raise InputError(f"expected {count} crops, got {images.count}: ask for fewer.")
        digest = joined_digest({IMAGES: images.digest, LABELS: labels.digest})
        write_json(partial / FORMAT_FILE, {"digest": digest})


@dataclass(frozen=True)
class CropStore:
    """Crops that ``write_crops`` wrote.

    Attributes:
        folder: of the files.
    """

    folder: Path

    def __post_init__(self) -> None:
        if not (self.folder / FORMAT_FILE).is_file():
            raise InputError(f"expected crops of scripts/cut_segmentation_crops.py in {self.folder}.")

    @cached_property
    def images(self) -> UInt8[np.ndarray, "N S S 3"]:
        """SRGB."""
        return np.load(self.folder / IMAGES, mmap_mode="r", allow_pickle=False)

    @cached_property
    def labels(self) -> UInt8[np.ndarray, "N S S"]:
        """Bits of the classes that a pixel may have."""
        return np.load(self.folder / LABELS, mmap_mode="r", allow_pickle=False)

    @cached_property
    def digest(self) -> str:
        """Of everything that they hold, to tell them from others."""
        told = (read_marker(self.folder / FORMAT_FILE, MAX_MARKER) or {}).get("digest")
        if isinstance(told, str):
            return told  # else they were written before they told it themselves
        return joined_digest({IMAGES: rows_digest(self.images), LABELS: rows_digest(self.labels)})

    def __len__(self) -> int:
        return len(self.images)

    def __getstate__(self) -> dict[str, Path]:
        """Processes map the files themselves."""
        return {"folder": self.folder}

    def read(self, numbers: np.ndarray) -> tuple[Float[Tensor, "B 3 S S"], UInt8[Tensor, "B S S"]]:
        """Images in [0, 1] and labels of some crops."""
        images = torch.from_numpy(self.images[numbers]).permute(0, 3, 1, 2).float().div_(255)
        return images, torch.from_numpy(self.labels[numbers])
