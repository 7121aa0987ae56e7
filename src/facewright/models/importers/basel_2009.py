"""The Basel Face Model of 2009: ``01_MorphableModel.mat``, in micrometres, with MATLAB's indices."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy import ndarray

from facewright.core.errors import AssetError
from facewright.core.matlab import read_matlab_numbers
from facewright.models.checks import MAX_VERTICES
from facewright.models.importers.encoded_colours import linear_colours
from facewright.models.importers.raw import RawModel, check_counts, check_file, standard_deviations

MILLIMETRES = 1e-3  # the file is in micrometres
FULL_COLOUR = 255.0
MAX_FACES = 4 * MAX_VERTICES
NAMES = ("shapeMU", "shapePC", "shapeEV", "texMU", "texPC", "texEV", "tl")
# Vertices (of 53,490) at points of iBUG, counted from 0.
# fmt: off
ANCHORS = {
    17: 38792, 19: 40087, 21: 40514, 22: 41091, 24: 41511, 26: 42825, 30: 8319, 33: 8334, 36: 2088, 39: 5959,
    42: 10603, 45: 14472, 48: 5006, 51: 8344, 54: 11714, 57: 8374, 62: 8354, 66: 8366,
}
# fmt: on
LICENCE = (
    "Basel Face Model licence (University of Basel, faces.dmi.unibas.ch): research only, not to be passed on"
)


def read_basel_2009(path: Path, *, anchors: dict[int, int] | None = None) -> RawModel:
    """Read ``01_MorphableModel.mat`` of the BFM 2009.

    Args:
        path: the file, MATLAB 5 to 7.
        anchors: vertices at points of iBUG; those of the published model if None.

    Raises:
        AssetError: the file is missing, damaged, or no BFM 2009.

    **Source:** Paysan et al. 2009; the traps from eos' ``convert-bfm2009-to-eos.py`` (``shapeEV`` and
    ``texEV`` are standard deviations, triangles count from 1 and wind inward, colours reach 255) and
    ``ibug_to_bfm.txt``; micrometres: the model's makers in basel-face-model-viewer, issue 20.
    **Differs:** colours are taken as sRGB and brought to linear light, the basis to first order at the mean.
    """
    stored = _read_matlab(path)
    count, components = stored["shapePC"].shape[0] // 3, stored["shapePC"].shape[1]
    check_counts(path, count, components)
    mean = stored["shapeMU"].astype(np.float64).reshape(-1, 3) * MILLIMETRES
    identity = standard_deviations(stored["shapePC"], stored["shapeEV"].ravel() * MILLIMETRES)
    colours = stored["texMU"].astype(np.float64).reshape(-1, 3) / FULL_COLOUR
    faces = stored["tl"].astype(np.int64) - 1
    return RawModel(
        name="bfm2009",
        version="2009",
        licence=LICENCE,
        mean=mean,
        faces=np.ascontiguousarray(faces[:, [0, 2, 1]]),
        identity=identity,
        expression=np.zeros((0, count, 3), dtype=np.float32),
        expression_names=(),
        diffuse=linear_colours(
            colours, standard_deviations(stored["texPC"], stored["texEV"].ravel() / FULL_COLOUR)
        ),
        anchors=ANCHORS if anchors is None else anchors,
        notes=("the model has no expressions",),
    )


def _read_matlab(path: Path) -> dict[str, ndarray]:
    check_file(path)
    try:
        return read_matlab_numbers(path, NAMES, lambda shapes: _check_shapes(path, shapes))
    except ValueError as error:
        raise AssetError(f"{path} is no BFM 2009 ({error}).") from error


def _check_shapes(path: Path, found: Mapping[str, tuple[int, ...]]) -> None:
    wrong = [name for name in NAMES if len(found[name]) != 2]
    if wrong:
        raise AssetError(f"{path} is no BFM 2009: {wrong[0]} has shape {found[wrong[0]]}, expected two axes.")
    vertices, components = found["shapePC"]
    colours, faces = found["texPC"][1], found["tl"][0]
    check_counts(path, vertices // 3, components)
    check_counts(path, vertices // 3, colours)
    if not 1 <= faces <= MAX_FACES:
        raise AssetError(f"{path} is no BFM 2009: it has {faces} triangles, expected 1 to {MAX_FACES}.")
    expected = {
        "shapePC": (vertices, components),
        "shapeMU": (vertices, 1),
        "shapeEV": (components, 1),
        "texMU": (vertices, 1),
        "texPC": (vertices, colours),
        "texEV": (colours, 1),
        "tl": (faces, 3),
    }
    for name, shape in expected.items():
        if tuple(found[name]) != shape:
            raise AssetError(f"{path} is no BFM 2009: {name} has shape {found[name]}, expected {shape}.")
