"""Shards in the layout of WebDataset: tar files whose bytes depend on their content alone, with a sidecar."""

import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from facewright.core.assets import sha256
from facewright.core.files import atomic_file, read_marker, write_json
from facewright.core.row_file import read_apart
from facewright.data.shard_reader import MAX_SIDECAR, sidecar_of

FORMAT_VERSION = 1
MISSING, SHORTER, LONGER = "missing", "it holds fewer samples", "it holds more samples"


@dataclass(frozen=True)
class Shard:
    """What a sidecar says of its shard.

    Attributes:
        name: of the tar file.
        first: index of its first sample.
        count: of its samples.
        sha256: of the file.
        bytes: of the file.
        statistics: one row a sample.
        format_version: of the sidecar.
    """

    name: str
    first: int
    count: int
    sha256: str
    bytes: int
    statistics: list[dict[str, float]]
    format_version: int = FORMAT_VERSION


def write_shard(path: Path, samples: Iterable[tuple[str, Mapping[str, bytes]]]) -> None:
    """Write samples (key, files by suffix) as a tar file, whole or not at all; members in order of name.

    Raises:
        OutputError: the file cannot be written.
    """
    with atomic_file(path) as partial, partial.open("wb") as stream:
        write_archive(stream, read_apart(samples))


def write_archive(stream: BinaryIO, samples: Iterable[tuple[str, Mapping[str, bytes]]]) -> None:
    """Write samples as a tar file into a stream, which need not be able to seek; as ``write_shard``.

    Raises:
        OSError: the stream takes no more.
    """
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.USTAR_FORMAT) as archive:
        for key, files in samples:
            for suffix in sorted(files):
                entry = tarfile.TarInfo(f"{key}.{suffix}")
                entry.size = len(files[suffix])
                entry.mode = 0o644  # time, owner and group stay 0: they are no content
                archive.addfile(entry, io.BytesIO(files[suffix]))


def record_shard(path: Path, first: int, statistics: list[dict[str, float]]) -> Shard:
    """Write the sidecar of a shard that is whole.

    Raises:
        OutputError: it cannot be written.
    """
    shard = Shard(path.name, first, len(statistics), sha256(path), path.stat().st_size, statistics)
    write_json(sidecar_of(path), asdict(shard))
    return shard


def whole_shard(path: Path, first: int, count: int) -> Shard | str:
    """A shard that has what it should, by its checksum; otherwise what is wrong with it.

    That is ``MISSING``, ``SHORTER`` or ``LONGER`` where nothing is damaged.
    """
    if not path.is_file():
        return MISSING
    try:
        shard = Shard(**(read_marker(sidecar_of(path), MAX_SIDECAR) or {}))
    except TypeError:
        return "its sidecar is missing or damaged"
    if (shard.format_version, shard.first) != (FORMAT_VERSION, first):
        return "its sidecar tells of other samples, so it is damaged"
    if shard.count != count:
        return SHORTER if shard.count < count else LONGER
    if not _plain(shard.statistics, count):
        return "its sidecar is damaged"
    if shard.bytes != path.stat().st_size or shard.sha256 != sha256(path):
        return "it is damaged"
    return shard


def _plain(rows: Any, count: int) -> bool:
    return (
        isinstance(rows, list)
        and len(rows) == count
        and all(
            isinstance(row, dict) and all(isinstance(value, int | float) for value in row.values())
            for row in rows
        )
    )
