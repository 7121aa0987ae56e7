"""Which prediction belongs to which scan, and reading both; a bad file spoils its own pair only."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facewright.core.errors import InputError
from facewright.evaluation.landmarks import SUFFIXES, read_landmarks
from facewright.evaluation.records import FaceSample
from facewright.geometry.scan_io import read_scan, scan_suffixes

UnitName = Literal["mm", "cm", "m"]
MILLIMETRES: Mapping[str, float] = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
MAX_LIST_BYTES = 16 << 20
COLUMNS = ("name", "prediction", "scan")
# In a folder that stands for one face; the first that is there counts.
MESH_STEMS = ("head", "scan")
MIDDLES = ("", ".landmarks", "_landmarks")  # <stem><middle><suffix>
LANDMARK_FILES = ("landmarks.json", "landmarks.txt", "landmarks.pp", "landmarks.npy", "parameters.json")


@dataclass(frozen=True)
class PairInput:
    """One prediction and its scan, or why there is no such pair.

    Attributes:
        name: in the table and of the pictures.
        prediction: a mesh file, or a folder with one.
        scan: a scan file, or a folder with one.
        prediction_landmarks: a landmark file; None: the one beside the mesh.
        scan_landmarks: a landmark file; None: the one beside the scan.
        problem: why the pair cannot be measured, or None.
    """

    name: str
    prediction: Path
    scan: Path
    prediction_landmarks: Path | None = None
    scan_landmarks: Path | None = None
    problem: str | None = None


def pair_folders(predictions: Path, scans: Path) -> list[PairInput]:
    """Pair by name: the stem of a mesh file, or the name of a folder that stands for one face.

    What has no counterpart is kept, with its problem.

    Raises:
        InputError: a folder is not there or has no mesh in it.
    """
    first, second = _listed(predictions), _listed(scans)
    pairs = []
    for name in sorted({*first, *second}):
        own, other = first.get(name, []), second.get(name, [])
        problem = None
        if not own:
            problem = f"there is no prediction of that name in {predictions}"
        elif not other:
            problem = f"there is no scan of that name in {scans}"
        elif len(own) > 1 or len(other) > 1:
            twice = own if len(own) > 1 else other
            problem = f"the name is not unique: {', '.join(path.name for path in twice)}"
        pairs.append(
            PairInput(name, own[0] if own else predictions, other[0] if other else scans, problem=problem)
        )
    return pairs


def read_pairs(path: Path) -> list[PairInput]:
    """Read a CSV of pairs: columns name, prediction, scan; if wanted prediction_landmarks, scan_landmarks.

    Paths are relative to the folder of the CSV.

    Raises:
        InputError: the file cannot be read, lacks a column, or names a pair twice.
    """
    try:
        if path.stat().st_size > MAX_LIST_BYTES:
            raise InputError(f"{path} is larger than {MAX_LIST_BYTES >> 20} MiB: no list of pairs is.")
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or [])]
            if missing:
                raise InputError(f"{path}: expected the columns {', '.join(COLUMNS)}, lacks {missing}.")
            rows = list(reader)
    except OSError as error:
        raise InputError(f"could not read {path} ({error.strerror or error}).") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no CSV file in UTF-8 ({error}).") from error
    names = [row["name"] or "" for row in rows]
    if not rows or len(set(names)) < len(names) or not all(names):
        raise InputError(f"{path}: expected at least one pair, each with a name of its own.")
    return [_pair_of(row, path.parent) for row in rows]


def read_sample(mesh: Path, landmarks: Path | None, unit: UnitName, name: str | None = None) -> FaceSample:
    """Read a mesh and its landmarks in mm.

    Args:
        mesh: a file that ``read_scan`` takes, or a folder that stands for one face.
        landmarks: a landmark file in the frame and the unit of the mesh; None: the one beside it.
        unit: of both files; it is never guessed.
        name: for messages; that of the mesh if None.

    Raises:
        InputError: a file is missing or damaged.
    """
    file = _mesh_in(mesh) if mesh.is_dir() else mesh
    marks = read_landmarks(landmarks or _landmarks_beside(file, mesh.is_dir()))
    scan = read_scan(file)
    factor = MILLIMETRES[unit]
    return FaceSample(
        name=name or file.name,
        vertices=scan.vertices * factor,
        faces=scan.faces,
        landmarks=marks.scaled(factor),
    )


def _pair_of(row: Mapping[str, str | None], folder: Path) -> PairInput:
    def place(column: str) -> Path | None:
        value = (row.get(column) or "").strip()
        return folder / value if value else None

    prediction, scan = place("prediction"), place("scan")
    lacks = [column for column, path in (("prediction", prediction), ("scan", scan)) if path is None]
    return PairInput(
        name=row["name"] or "",
        prediction=prediction or folder,
        scan=scan or folder,
        prediction_landmarks=place("prediction_landmarks"),
        scan_landmarks=place("scan_landmarks"),
        problem=f"the row names no {lacks[0]}" if lacks else None,
    )


def _listed(folder: Path) -> dict[str, list[Path]]:
    """Meshes and folders of one face, by name."""
    try:
        children = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(
            f"could not list {folder} ({error.strerror or error}): expected a folder."
        ) from error
    found: dict[str, list[Path]] = {}
    for child in children:
        if child.name.startswith("."):
            continue
        if child.is_dir():
            if _meshes(child):
                found.setdefault(child.name, []).append(child)
        elif _is_mesh(child):
            found.setdefault(child.stem, []).append(child)
    if not found:
        kinds = " ".join(sorted(scan_suffixes()))
        raise InputError(
            f"{folder} has no mesh in it: expected files that end in {kinds}, or folders of such."
        )
    return found


def _is_mesh(path: Path) -> bool:
    return path.suffix.lower() in scan_suffixes() and path.is_file()


def _meshes(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _is_mesh(path) and not path.name.startswith("."))


def _mesh_in(folder: Path) -> Path:
    """The mesh of a folder that stands for one face: head.*, scan.*, or the only one; OBJ before others."""
    meshes = _meshes(folder)
    for stem in MESH_STEMS:
        named = [path for path in meshes if path.stem == stem]
        if named:
            return min(named, key=lambda path: (path.suffix.lower() != ".obj", path.name))
    if len(meshes) != 1:
        raise InputError(f"{folder}: expected one mesh, or head.obj or scan.obj, got {len(meshes)} meshes.")
    return meshes[0]


def _landmarks_beside(mesh: Path, alone: bool) -> Path:
    """The landmark file of a mesh: by its name, or the folder's own where it stands for one face.

    A mesh named head or scan is its folder's face, also where it is named itself.
    """
    alone = alone or mesh.stem in MESH_STEMS
    wanted = [mesh.with_name(f"{mesh.stem}{middle}{suffix}") for middle in MIDDLES for suffix in SUFFIXES]
    if alone:
        wanted += [mesh.with_name(name) for name in LANDMARK_FILES]
    for path in wanted:
        if path.is_file():
            return path
    raise InputError(
        f"{mesh} has no landmarks beside it: expected {mesh.stem}.json, .txt, .pp or .npy"
        + (f", {', '.join(LANDMARK_FILES)}." if alone else f", or {mesh.stem}_landmarks.json and the like.")
    )
