"""Registered scans of labelled people in one file that is mapped into memory, never read whole."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray

from facewright.core.errors import InputError
from facewright.core.files import make_writable_folder, read_marker, write_json
from facewright.core.row_file import read_apart, row_file

SCANS, MARKER = "scans.npy", "stack.json"
FORMAT_VERSION = 1
MAX_MARKER_BYTES = 64 << 20
BLOCK = 256  # scans that are read together


@dataclass(frozen=True)
class ScanStack:
    """Scans in one topology with the person of each.

    Attributes:
        scans: (N, 3 C) coordinates, mm, one row a scan; mapped from its file.
        people: number of the person of each scan, from 0, none left out.
        vertex: numbers of the C vertices in the head model's topology.
        told: what made the stack, as JSON values.
    """

    scans: Float[ndarray, "N _"]
    people: Int64[ndarray, " N"]
    vertex: Int64[ndarray, " C"]
    told: dict

    @property
    def person_count(self) -> int:
        """How many people there are."""
        return int(self.people.max()) + 1

    def blocks(self) -> Iterator[tuple[slice, Float[ndarray, "B _"]]]:
        """Rows of the scans in order, a few hundred in memory at a time."""
        for start in range(0, len(self.scans), BLOCK):
            rows = slice(start, min(start + BLOCK, len(self.scans)))
            yield rows, np.asarray(self.scans[rows], dtype=np.float32)


def write_stack(
    folder: Path,
    blocks: Iterable[Float[ndarray, "B C 3"]],
    people: Int64[ndarray, " N"],
    vertex: Int64[ndarray, " C"],
    told: dict,
) -> ScanStack:
    """Write scans as they come; the folder holds a whole stack or none.

    Args:
        folder: gets scans.npy and stack.json.
        blocks: scans in order, mm, all laid onto one head.
        people: any numbers, one a scan; they are counted anew from 0.
        vertex: numbers of the scans' vertices in the head model's topology.
        told: what made them.

    Raises:
        InputError: the scans do not share a topology, are not finite, or are not as many as their labels.
        OutputError: the folder cannot be written.
    """
    make_writable_folder(folder)
    width, done = 3 * len(vertex), 0
    (folder / MARKER).unlink(missing_ok=True)
    with row_file(folder / SCANS, (width,), np.float32) as rows:
        for block in read_apart(blocks):
            if block.shape[1:] != (len(vertex), 3):
                raise InputError(
                    f"scan {done} has {block.shape[1]} vertices, expected the {len(vertex)} of the first: "
                    "all must be in one topology; bring them into ours with `facewright register`."
                )
            if done + len(block) > len(people):
                raise InputError(f"expected a person for each scan, got {len(people)} labels and more scans.")
            if not np.isfinite(block).all():
                raise InputError(f"a scan from {done} on holds coordinates that are not finite.")
            rows.append(block.reshape(len(block), width))
            done += len(block)
        if done != len(people):
            raise InputError(f"expected a person for each scan, got {len(people)} labels and {done} scans.")
    numbers = np.unique(people, return_inverse=True)[1]
    write_json(
        folder / MARKER,
        {"version": FORMAT_VERSION, "people": numbers.tolist(), "vertex": vertex.tolist(), "told": told},
    )
    return open_stack(folder)


def open_stack(folder: Path) -> ScanStack:
    """Map a stack that ``write_stack`` wrote.

    Raises:
        InputError: the folder holds no whole stack.
    """
    content = read_marker(folder / MARKER, MAX_MARKER_BYTES)
    try:
        if content is None or content["version"] != FORMAT_VERSION:
            raise ValueError(f"no {MARKER} of this version")
        people = np.array(content["people"], dtype=np.int64)
        vertex = np.array(content["vertex"], dtype=np.int64)
        scans = np.load(folder / SCANS, mmap_mode="r", allow_pickle=False)
        if scans.dtype != np.float32 or scans.shape != (len(people), 3 * len(vertex)) or not len(people):
            raise ValueError(f"{SCANS} has shape {scans.shape} of {scans.dtype}")
        if people.min() != 0 or len(np.unique(people)) != people.max() + 1 or vertex.min() < 0:
            raise ValueError("labels are not counted from 0")
    except (OSError, LookupError, ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{folder} holds no whole stack of scans ({error}): make it again.") from error
    return ScanStack(scans, people, vertex, dict(content["told"]))
