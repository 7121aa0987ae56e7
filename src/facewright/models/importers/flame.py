"""FLAME 2020 and 2023: a pickled dictionary of arrays, some of them wrapped by chumpy."""

from pathlib import Path

import numpy as np

from facewright.core.errors import AssetError
from facewright.models.face_model import LandmarkSet
from facewright.models.importers.inert_pickle import as_array, read_inert_pickle
from facewright.models.importers.raw import INNER, RawModel, check_counts

MILLIMETRES = 1_000.0  # FLAME is in metres
IDENTITIES = 300  # of the 400 shape directions; the rest are expressions
LEFT_EYE_JOINT, RIGHT_EYE_JOINT = 3, 4
# Vertices of the published topology (5023 vertices) at points of iBUG, counted from 0.
ANCHORS = {36: 2419, 39: 3638, 42: 3835, 45: 1142, 30: 3564}
LICENCE = "FLAME model licence: flame.is.tue.mpg.de (FLAME 2023 Open: CC-BY-4.0); check the file you have"


def read_flame(
    path: Path, *, embedding: Path | None = None, anchors: dict[int, int] | None = None
) -> RawModel:
    """Read ``generic_model.pkl``, ``flame2023.pkl`` and their kin; nothing in them is executed.

    Args:
        path: the pickle.
        embedding: ``flame_static_embedding.pkl`` (51 landmarks as points on triangles) from the same place.
        anchors: vertices at points of iBUG; those of the published topology if None.

    Raises:
        AssetError: the file is missing, damaged, or no FLAME model.

    **Source:** Li et al. 2017; the keys and shapes of FLAME_PyTorch's ``flame.py`` (``v_template``,
    ``shapedirs`` (V,3,400), ``f``, ``J``), the state of chumpy 0.70's ``Ch`` (its numbers are ``x``).
    **Differs:** FLAME turns jaw, neck and eyes by linear blend skinning with pose correctives; a
    ``FaceModel`` is linear and has none of that, so jaw and gaze stay closed and straight.
    """
    stored = read_inert_pickle(path)
    try:
        mean = as_array(stored["v_template"]).astype(np.float64) * MILLIMETRES
        directions = as_array(stored["shapedirs"]).astype(np.float32) * np.float32(MILLIMETRES)
        faces = as_array(stored["f"]).astype(np.int64)
        joints = as_array(stored["J"]).astype(np.float64) * MILLIMETRES if "J" in stored else None
    except (KeyError, TypeError, ValueError) as error:
        raise AssetError(f"{path} is no FLAME model ({error}).") from error
    if mean.ndim != 2 or mean.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise AssetError(f"{path} is no FLAME model: v_template {mean.shape}, f {faces.shape}.")
    if directions.ndim != 3 or directions.shape[:2] != mean.shape:
        raise AssetError(f"{path} is no FLAME model: shapedirs has shape {directions.shape}.")
    check_counts(path, len(mean), directions.shape[2])
    basis = np.ascontiguousarray(np.moveaxis(directions, 2, 0))
    identity, expression = basis[:IDENTITIES], basis[IDENTITIES:]
    eyes = None
    if joints is not None and joints.shape[0] > RIGHT_EYE_JOINT:
        eyes = joints[[LEFT_EYE_JOINT, RIGHT_EYE_JOINT]]
    return RawModel(
        name="flame",
        version="2023" if "2023" in path.stem else "2020",
        licence=LICENCE,
        mean=mean,
        faces=faces,
        identity=identity,
        expression=expression,
        expression_names=tuple(f"expression{number:03d}" for number in range(len(expression))),
        anchors=ANCHORS if anchors is None else anchors,
        landmarks={"ibug51": read_embedding(embedding)} if embedding else {},
        eye_centers=eyes,
        notes=("expressions are in standard deviations of both signs", "jaw, neck and eyes cannot be turned"),
    )


def read_embedding(path: Path) -> LandmarkSet:
    """Read the 51 landmarks of ``flame_static_embedding.pkl``: ``lmk_face_idx`` and ``lmk_b_coords``.

    Raises:
        AssetError: the file is missing, damaged, or holds something else.
    """
    import torch

    stored = read_inert_pickle(path)
    try:
        triangle = as_array(stored["lmk_face_idx"]).astype(np.int64)
        weights = as_array(stored["lmk_b_coords"]).astype(np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise AssetError(f"{path} is no landmark embedding of FLAME ({error}).") from error
    if triangle.shape != (len(INNER),) or weights.shape != (len(INNER), 3):
        raise AssetError(f"{path} holds {triangle.shape} landmarks, expected {len(INNER)}.")
    return LandmarkSet(
        torch.from_numpy(triangle), torch.from_numpy(weights), torch.zeros(len(INNER), dtype=torch.bool)
    )
