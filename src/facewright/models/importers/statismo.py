"""Statistical models in HDF5 as statismo and scalismo write them: what BFM 2017/2019 and AlbedoMM are in."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray
from scipy.spatial import KDTree

from facewright.core.errors import AssetError, UnavailableError
from facewright.models.importers.raw import check_counts, check_file, standard_deviations

MAX_TEXT_BYTES = 1 << 20
SNAP = 1.0  # mm: a named landmark lies on a vertex, but for rounding
# The makers' names of points of iBUG, counted from 0.
# fmt: off
NAMED = {
    "center.chin.tip": 8, "center.nose.tip": 30, "center.nose.attachement_to_philtrum": 33,
    "right.eye.corner_outer": 36, "right.eye.corner_inner": 39, "left.eye.corner_inner": 42,
    "left.eye.corner_outer": 45, "right.lips.corner": 48, "left.lips.corner": 54,
    "center.lips.upper.outer": 51,
    "center.lips.lower.outer": 57, "center.lips.upper.inner": 62, "center.lips.lower.inner": 66,
}
# fmt: on


@dataclass(frozen=True)
class LinearPart:
    """One part of a model ("shape", "color", "expression", ...).

    Attributes:
        mean: as in the file.
        basis: change of one standard deviation.
    """

    mean: Float[ndarray, "V 3"]
    basis: Float[ndarray, "K V 3"]


@contextmanager
def open_statismo(path: Path) -> Iterator[Any]:
    """Open a file for the readers below.

    Raises:
        UnavailableError: the package h5py is not there.
        AssetError: the file is missing, damaged or too large, or what is read from it is.
    """
    try:
        import h5py
    except ImportError as error:
        raise UnavailableError(
            "reading HDF5 models needs the package h5py: pip install 'facewright[models]'."
        ) from error
    check_file(path)
    try:
        with h5py.File(path, "r") as stored:
            yield stored
    except (LookupError, ValueError, TypeError, OSError, RuntimeError, AttributeError) as error:
        raise AssetError(f"{path} is no statistical model of statismo ({error}).") from error


def read_part(stored: Any, name: str, path: Path) -> LinearPart:
    """Read mean and principal components of one part.

    Raises:
        LookupError: something is missing.
        ValueError: the arrays do not fit one another.
        AssetError: there is more than any face model has.

    **Source:** AlbedoMoMoIO.scala of AlbedoMM: ``pcaVariance`` are variances; in version 0.9 the columns of
    ``pcaBasis`` have unit length, in 0.8 they are scaled by the deviations. Both come out alike here.
    """
    basis = _dataset(stored, f"{name}/model/pcaBasis")
    if len(basis.shape) != 2:
        raise ValueError(f"{name}/model/pcaBasis has shape {basis.shape}")
    check_counts(path, basis.shape[0] // 3, basis.shape[1])
    mean, variance = (_numbers(stored, f"{name}/model/{key}").ravel() for key in ("mean", "pcaVariance"))
    if basis.shape != (mean.size, variance.size) or mean.size % 3:
        raise ValueError(f"{name}: a mean of {mean.size} numbers beside a basis of {basis.shape}")
    if variance.size and variance.min() < 0:
        raise ValueError(f"{name}: a variance is negative")
    columns = standard_deviations(_numbers(stored, f"{name}/model/pcaBasis"), np.sqrt(variance))
    return LinearPart(mean.astype(np.float64).reshape(-1, 3), columns)


def read_triangles(stored: Any, name: str) -> Int64[ndarray, "F 3"]:
    """Read the triangles of one part: ``representer/cells`` (3,F), counted from 0.

    Raises:
        LookupError: they are missing.
        ValueError: they are no triangles.
    """
    cells = _numbers(stored, f"{name}/representer/cells")
    if cells.ndim != 2 or cells.shape[0] != 3 or cells.dtype.kind not in "iu":
        raise ValueError(f"{name}/representer/cells is {cells.dtype} of shape {cells.shape}, expected (3, F)")
    return np.ascontiguousarray(cells.T.astype(np.int64))


def read_anchors(stored: Any, mean: Float[ndarray, "V 3"]) -> dict[int, int]:
    """Vertices of the named landmarks that are points of iBUG; none if the file has no landmarks.

    Raises:
        ValueError: the landmarks cannot be read, or lie beside the mean head.
    """
    if "metadata/landmarks/json" not in stored:
        return {}
    dataset = _dataset(stored, "metadata/landmarks/json")
    if dataset.dtype.kind not in "SOU" or dataset.size != 1 or dataset.id.get_storage_size() > MAX_TEXT_BYTES:
        raise ValueError("metadata/landmarks/json is no text")
    text = np.asarray(dataset[()]).ravel()[0]
    text = text.decode("utf-8") if isinstance(text, bytes) else str(text)
    if len(text) > MAX_TEXT_BYTES:
        raise ValueError("metadata/landmarks/json is too long")
    # C++ writers end a text with a zero.
    listed = json.loads(text.rstrip("\0"))
    found = {entry["id"]: entry["coordinates"] for entry in listed if entry["id"] in NAMED}
    if not found:
        return {}
    points = np.asarray(list(found.values()), dtype=np.float64)
    if points.shape != (len(found), 3) or not np.isfinite(points).all():
        raise ValueError("a landmark has no three coordinates")
    distance, vertex = KDTree(mean).query(points)
    if distance.max() > SNAP:
        raise ValueError(f"a landmark lies {distance.max():.3g} beside the mean head")
    return {NAMED[name]: int(index) for name, index in zip(found, np.atleast_1d(vertex), strict=True)}


def _dataset(stored: Any, name: str) -> Any:
    """A dataset that lies in this very file: links elsewhere and outside storage are not followed."""
    import h5py

    place = stored
    for step in name.split("/"):
        if not isinstance(place, h5py.Group) or step not in place:
            raise KeyError(f"{name} is missing")
        if not isinstance(place.get(step, getlink=True), h5py.HardLink):
            raise ValueError(f"{name} is a link, which is not followed")
        place = place[step]
    if not isinstance(place, h5py.Dataset) or place.external or place.is_virtual:
        raise ValueError(f"{name} is no array of this file")
    return place


def _numbers(stored: Any, name: str) -> ndarray:
    dataset = _dataset(stored, name)
    if dataset.dtype.kind not in "fiu" or dataset.size * dataset.dtype.itemsize > 4 << 30:
        raise ValueError(f"{name} holds {dataset.dtype} of shape {dataset.shape}, expected numbers")
    return dataset[()]
