"""Which importer reads which format, and what a user may give beside the file."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facewright.core.errors import AssetError, InputError
from facewright.models.face_model import FaceModel
from facewright.models.importers.albedo_mm import read_albedo_mm
from facewright.models.importers.basel_2009 import read_basel_2009
from facewright.models.importers.basel_hdf5 import read_basel_hdf5
from facewright.models.importers.flame import read_flame
from facewright.models.importers.ict import read_ict
from facewright.models.importers.raw import RawModel, face_model
from facewright.models.importers.surrey import read_surrey
from facewright.models.storage import ModelOrigin

ModelFormat = Literal["bfm2009", "bfm2017", "bfm2019", "flame", "ict", "surrey", "albedo_mm"]
MAX_LANDMARK_BYTES = 1 << 20


@dataclass(frozen=True)
class Companions:
    """Files that some formats need or take beside the model itself.

    Attributes:
        shape: for albedo_mm: the BFM 2017 that the albedo was made for.
        embedding: for flame: ``flame_static_embedding.pkl``, its 51 landmarks.
        blendshapes: for surrey: ``expression_blendshapes_3448.bin``.
        landmarks: for a topology that is not the published one: JSON with the vertex of points of iBUG
            (counted from 0), such as ``{"36": 2602, "45": 13481, "30": 8156}``.
    """

    shape: Path | None = None
    embedding: Path | None = None
    blendshapes: Path | None = None
    landmarks: Path | None = None


# The one companion, besides landmarks, that each format takes.
TAKES: dict[str, str] = {"albedo_mm": "shape", "flame": "embedding", "surrey": "blendshapes"}


def import_model(
    name: ModelFormat, path: Path, companions: Companions | None = None
) -> tuple[FaceModel, ModelOrigin]:
    """Read a model of another project and check that it is a plausible head in mm.

    Args:
        name: the format.
        path: the model's file or folder.
        companions: what the format needs beside it.

    Returns:
        The model, and where it comes from.

    Raises:
        InputError: a companion is missing, or does not belong to the format.
        AssetError: a file is missing, damaged, of another format, or no plausible head.
        UnavailableError: a package is not there that the format needs.
    """
    companions = companions or Companions()
    for companion in ("shape", "embedding", "blendshapes"):
        if getattr(companions, companion) and TAKES.get(name) != companion:
            raise InputError(f"format {name} takes no --{companion}.")
    if name == "albedo_mm" and companions.shape is None:
        raise InputError("format albedo_mm is albedo alone: give the BFM 2017 that it goes with by --shape.")
    anchors = read_landmark_vertices(companions.landmarks) if companions.landmarks else None
    raw = _reader(name, companions)(path, anchors)
    model = face_model(raw, path)
    return model, ModelOrigin(raw.licence, f"{name}: {path.name}", "facewright model import", raw.notes)


def read_landmark_vertices(path: Path) -> dict[int, int]:
    """Read which vertices are points of iBUG.

    Raises:
        AssetError: the file is missing or is no such list.
    """
    try:
        if path.stat().st_size > MAX_LANDMARK_BYTES:
            raise ValueError("it is too large")
        listed = json.loads(path.read_bytes())
        anchors = {int(number): vertex for number, vertex in listed.items()}
        if not all(0 <= number < 68 and type(vertex) is int for number, vertex in anchors.items()):
            raise ValueError("expected points 0 to 67 with a whole number each")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise AssetError(
            f'{path} is no list of landmarks ({error}): expected JSON as {{"36": 2602, ...}}, iBUG points '
            "counted from 0 and the vertex of each."
        ) from error
    return anchors


def _reader(name: ModelFormat, companions: Companions) -> Callable[[Path, dict[int, int] | None], RawModel]:
    readers: dict[str, Callable[[Path, dict[int, int] | None], RawModel]] = {
        "bfm2009": lambda path, anchors: read_basel_2009(path, anchors=anchors),
        "bfm2017": lambda path, anchors: read_basel_hdf5(path, year=2017, anchors=anchors),
        "bfm2019": lambda path, anchors: read_basel_hdf5(path, year=2019, anchors=anchors),
        "flame": lambda path, anchors: read_flame(path, embedding=companions.embedding, anchors=anchors),
        "ict": lambda path, anchors: read_ict(path, anchors=anchors),
        "surrey": lambda path, anchors: read_surrey(
            path, blendshapes=companions.blendshapes, anchors=anchors
        ),
        "albedo_mm": lambda path, anchors: read_albedo_mm(
            path, shape=companions.shape or path, anchors=anchors
        ),
    }
    return readers[name]
