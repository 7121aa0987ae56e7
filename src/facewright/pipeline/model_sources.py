"""The heads that a model is built of: found, read, and checked to share one topology."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray

from facewright.core.errors import InputError
from facewright.core.progress import ProgressBar
from facewright.geometry.scan import Scan
from facewright.geometry.scan_io import read_scan, scan_suffixes

REGISTERED = ("head.ply", "head.obj")  # what a registration leaves in its folder, best first
NEUTRAL = "neutral"
MAX_TABLE_BYTES = 16 << 20


@dataclass(frozen=True)
class HeadSet:
    """Heads in one topology, as their files have them.

    Attributes:
        names: of the files, or of the folders that hold them.
        vertices: positions in file units, float32.
        faces: that all of them share.
        uv: texture coordinates of the first, None if it has none.
        uv_faces: their indices.
    """

    names: tuple[str, ...]
    vertices: Float[ndarray, "N V 3"]
    faces: Int64[ndarray, "F 3"]
    uv: Float[ndarray, "T 2"] | None
    uv_faces: Int64[ndarray, "F 3"] | None


def find_heads(places: Sequence[Path]) -> dict[str, Path]:
    """Mesh files by name: files themselves, folders with a registered head, and folders of either.

    Raises:
        InputError: a place holds no head, or two heads have one name.
    """
    return named_heads(head_files(places))


def named_heads(paths: Sequence[Path]) -> dict[str, Path]:
    """Mesh files by name.

    Raises:
        InputError: two heads have one name.
    """
    named: dict[str, Path] = {}
    for path in paths:
        if named.setdefault(head_name(path), path) != path:
            name = head_name(path)
            raise InputError(f"two heads are called {name!r}: {named[name]} and {path}: rename one.")
    return named


def head_files(places: Sequence[Path]) -> list[Path]:
    """Mesh files at all places, in order.

    Raises:
        InputError: a place holds no head.
    """
    found: list[Path] = []
    for place in places:
        heads = _heads_in(place)
        if not heads:
            raise InputError(
                f"no head at {place}: expected a mesh ({' '.join(sorted(scan_suffixes()))}), a folder with "
                f"{' or '.join(REGISTERED)}, or a folder of such."
            )
        found += heads
    return found


def head_name(path: Path) -> str:
    """What the head in a file is called: by the folder of a registration, else by the file."""
    return path.parent.name if path.name in REGISTERED else path.stem


def _heads_in(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    own = [place / name for name in REGISTERED if (place / name).is_file()]
    if own or not place.is_dir():
        return own[:1]
    entries = sorted(entry for entry in place.iterdir() if not entry.name.startswith("."))
    below = [head for entry in entries if entry.is_dir() for head in _heads_in(entry)]
    loose = [entry for entry in entries if entry.is_file() and entry.suffix.lower() in scan_suffixes()]
    return [*below, *loose]


def read_heads(named: dict[str, Path]) -> HeadSet:
    """Read heads that all must have the vertices and triangles of the first.

    Raises:
        InputError: a head has other triangles, or vertices that no triangle uses.
        ScanError: a file is damaged.
    """
    vertices: ndarray | None = None
    first: Scan | None = None
    with ProgressBar(len(named), unit="head") as bar:
        for row, (name, path) in enumerate(named.items()):
            scan = read_scan(path)
            if not np.array_equal(scan.file_vertex, np.arange(len(scan.vertices))) or not len(scan.faces):
                raise InputError(f"{path}: expected a mesh whose triangles use every vertex, in order.")
            if first is None or vertices is None:
                first, vertices = scan, np.empty((len(named), *scan.vertices.shape), dtype=np.float32)
            elif len(scan.vertices) != len(first.vertices) or not np.array_equal(scan.faces, first.faces):
                raise InputError(
                    f"{name} has {len(scan.vertices)} vertices and {len(scan.faces)} triangles that are not "
                    f"those of {next(iter(named))} ({len(first.vertices)} and {len(first.faces)}): all heads "
                    "must be in one topology; bring them into ours with `facewright register`."
                )
            vertices[row] = scan.vertices
            bar.advance()
    if first is None or vertices is None:
        raise InputError("no heads were given.")
    return HeadSet(tuple(named), vertices, first.faces, first.uv, first.uv_faces)


def read_people(path: Path, names: Sequence[str]) -> dict[str, str]:
    """Read whose head each is: rows ``name,person``.

    Raises:
        InputError: the table cannot be read, names a head that is not there, or leaves one out.
    """
    people = {row[0]: row[1] for row in _rows(path, 2)}
    strange = sorted(people.keys() - set(names))
    if strange:
        raise InputError(f"{path} names {strange[0]!r}, which is none of the heads.")
    unlabelled = [name for name in names if not people.get(name)]
    if unlabelled:
        raise InputError(f"{path} names no person for {unlabelled[0]!r} ({len(unlabelled)} heads lack one).")
    return people


def read_weights(path: Path, names: Sequence[str]) -> dict[str, float]:
    """Read how much heads count: rows ``name,weight``.

    Raises:
        InputError: the table cannot be read or names a head that is not there.
    """
    weights: dict[str, float] = {}
    for row in _rows(path, 2):
        if row[0] not in names:
            raise InputError(f"{path} names {row[0]!r}, which is none of the heads.")
        try:
            weights[row[0]] = float(row[1])
        except ValueError as error:
            raise InputError(f"{path} gives {row[0]!r} the weight {row[1]!r}: expected a number.") from error
    return weights


def expression_pairs(names: Sequence[str], table: Path | None = None) -> list[tuple[int, int, str]]:
    """Which heads are expressions of which: rows of (neutral, expression, label).

    Args:
        names: of the heads.
        table: rows ``neutral,expression,label``; if None the names tell: ``ANNA_neutral`` and ``ANNA_smile``
            are a pair with the label "smile".

    Raises:
        InputError: the table cannot be read or names a head that is not there.
    """
    place = {name: number for number, name in enumerate(names)}
    if table is not None:
        rows = _rows(table, 3)
        missing = [name for row in rows for name in row[:2] if name not in place]
        if missing:
            raise InputError(f"{table} names {missing[0]!r}, which is none of the heads.")
        return [(place[neutral], place[expression], label) for neutral, expression, label in rows]
    pairs = []
    for name in names:
        subject, _, label = name.rpartition("_")
        if subject and label != NEUTRAL and f"{subject}_{NEUTRAL}" in place:
            pairs.append((place[f"{subject}_{NEUTRAL}"], place[name], label))
    return pairs


def _rows(path: Path, width: int) -> list[list[str]]:
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise ValueError("it is too large")
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [[cell.strip() for cell in row] for row in csv.reader(stream) if row]
        if any(len(row) != width for row in rows):
            raise ValueError(f"expected {width} columns in each row")
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path} is no table that can be read ({error}).") from error
    return rows
