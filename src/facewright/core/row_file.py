"""Arrays that are written row by row: as many rows as there turn out to be, whole or not at all."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike

from facewright.core.errors import InputError
from facewright.core.files import atomic_file

BLOCK = 1024  # rows that are read together
Item = TypeVar("Item")


class RowFile:
    """Where rows go; ``row_file`` opens one.

    Ordinary writes tell of a full disk, where a mapped file would end the process with a signal.

    Args:
        stream: of the file.
        shape: of one row.
        kind: of the numbers.

    Attributes:
        count: of the rows that were written.
    """

    def __init__(self, stream: BinaryIO, shape: tuple[int, ...], kind: DTypeLike) -> None:
        self._stream, self._shape, self._kind = stream, shape, np.dtype(kind)
        self._content = hashlib.sha256()
        self.count = 0
        self._write_header()

    def append(self, rows: ndarray) -> None:
        """Write some rows behind the others."""
        if rows.shape[1:] != self._shape:
            raise ValueError(f"expected rows of shape {self._shape}, got {rows.shape[1:]}.")
        content = np.ascontiguousarray(rows, self._kind).tobytes()
        self._stream.write(content)
        self._content.update(content)
        self.count += len(rows)

    def finish(self) -> None:
        """Tell of the rows in the header, which has room for any number of them."""
        self._stream.seek(0)
        self._write_header()

    @property
    def digest(self) -> str:
        """Of all rows: ``rows_digest`` of what the file will hold."""
        return self._content.hexdigest()

    def _write_header(self) -> None:
        shape = (self.count, *self._shape)
        header = {"descr": self._kind.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._stream, header)


@contextmanager
def row_file(path: Path, shape: tuple[int, ...], kind: DTypeLike) -> Iterator[RowFile]:
    """A file for ``numpy.load`` that gets rows while the block runs and is there when it ends without error.

    Args:
        path: of the file.
        shape: of one row.
        kind: of the numbers.

    Raises:
        OutputError: the file cannot be written; nothing of it stays behind.
    """
    with atomic_file(path) as partial, partial.open("wb") as stream:
        rows = RowFile(stream, shape, kind)
        yield rows
        rows.finish()


def rows_digest(rows: ndarray) -> str:
    """What ``RowFile.digest`` was when these rows were written."""
    content = hashlib.sha256()
    for first in range(0, len(rows), BLOCK):
        content.update(rows[first : first + BLOCK].tobytes())
    return content.hexdigest()


def joined_digest(digests: Mapping[str, str]) -> str:
    """One digest of several by their names."""
    return hashlib.sha256(str(sorted(digests.items())).encode()).hexdigest()[:16]


def read_apart(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, where the block they are taken in writes a file.

    Raises:
        InputError: for an ``OSError`` of making them, which would be taken for one of the file.
    """
    try:
        yield from items
    except OSError as error:
        raise InputError(
            f"cannot read {error.filename or 'the data'} ({error.strerror or error})."
        ) from error
