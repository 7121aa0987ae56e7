"""The Surrey Face Model as eos keeps it: a cereal binary archive, little-endian, without field names."""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy import ndarray

from facewright.core.errors import AssetError
from facewright.models.importers.encoded_colours import linear_colours
from facewright.models.importers.raw import RawModel, check_counts, check_file, standard_deviations

VERSIONS = (1, 2, 3, 4)
PCA, BLENDSHAPES = 0, 1  # alternatives of eos' ExpressionModel
# iBUG point (from 0) to vertex of the models of 3,448 vertices; inner mouth corners and jaw line are not
# mapped.
# fmt: off
ANCHORS = {
    8: 33, 17: 225, 18: 229, 19: 233, 20: 2086, 21: 157, 22: 590, 23: 2091, 24: 666, 25: 662, 26: 658, 27:
    2842, 28: 379, 29: 272, 30: 114, 31: 100, 32: 2794, 33: 270, 34: 2797, 35: 537, 36: 177, 37: 172, 38:
    191, 39: 181, 40: 173, 41: 174, 42: 614, 43: 624, 44: 605, 45: 610, 46: 607, 47: 606, 48: 398, 49: 315,
    50: 413, 51: 329, 52: 825, 53: 736, 54: 812, 55: 841, 56: 693, 57: 411, 58: 264, 59: 431, 61: 416, 62:
    423, 63: 828, 65: 817, 66: 442, 67: 404,
}
# fmt: on
LICENCE = "Surrey Face Model licence (University of Surrey, cvssp.org/faceweb): non-commercial"


@dataclass
class _Cursor:
    """Where the reading stands; every length is checked against what is left before it is used."""

    data: bytes
    place: int = 0

    def take(self, count: int) -> bytes:
        if not 0 <= count <= len(self.data) - self.place:
            raise ValueError(f"it ends early: {count} bytes wanted at {self.place} of {len(self.data)}")
        self.place += count
        return self.data[self.place - count : self.place]

    def number(self, code: str) -> int:
        return struct.unpack(f"<{code}", self.take(struct.calcsize(code)))[0]

    def array(self, count: int, kind: str, width: int) -> ndarray:
        item = np.dtype(kind).itemsize * width
        return np.frombuffer(self.take(count * item), dtype=kind).reshape(count, width)

    def matrix(self) -> ndarray:
        rows, columns = self.number("i"), self.number("i")
        if rows < 0 or columns < 0:
            raise ValueError(f"a matrix of {rows} x {columns}")
        return self.array(columns, "<f4", rows).T  # Eigen stores column after column

    def text(self) -> str:
        return self.take(self.number("Q")).decode("utf-8")


@dataclass(frozen=True)
class _Pca:
    mean: ndarray
    basis: ndarray
    variance: ndarray
    triangles: ndarray


def read_surrey(
    path: Path, *, blendshapes: Path | None = None, anchors: dict[int, int] | None = None
) -> RawModel:
    """Read ``sfm_shape_3448.bin`` or another model file of eos (versions 1 to 4).

    Args:
        path: the model.
        blendshapes: ``expression_blendshapes_3448.bin``; the expressions of the model itself if None.
        anchors: vertices at points of iBUG; those of ``ibug_to_sfm.txt`` if None.

    Raises:
        AssetError: a file is missing, damaged, or no model of eos.

    **Source:** Huber et al. 2016; the fields in the order of eos' ``PcaModel.hpp``, ``MorphableModel.hpp``
    and ``Blendshape.hpp``, matrices as in ``eigen_cerealisation.hpp``: rows, columns, then column after
    column. Eigenvalues are variances; millimetres.
    **Differs:** colours are taken as sRGB and brought to linear light, the basis to first order at the mean.
    """
    check_file(path)
    try:
        shape, colour, expressions, uv, uv_faces = _read_model(_Cursor(path.read_bytes()))
        if blendshapes is not None:
            check_file(blendshapes)
            expressions = _read_blendshapes(_Cursor(blendshapes.read_bytes()))
        count = shape.mean.size // 3
        check_counts(path, count, shape.basis.shape[1])
        identity = _scaled(shape)
        names, basis = tuple(name for name, _ in expressions), [move for _, move in expressions]
        expression = np.stack(basis).reshape(len(basis), count, 3) if basis else np.zeros((0, count, 3))
        diffuse = None
        if colour.mean.size:
            diffuse = linear_colours(colour.mean.astype(np.float64).reshape(-1, 3), _scaled(colour))
    except (ValueError, UnicodeDecodeError, struct.error) as error:
        raise AssetError(f"{path} is no face model of eos ({error}).") from error
    faces = shape.triangles.astype(np.int64)
    if len(uv) == count and not len(uv_faces):
        uv_faces = faces
    has_uv = len(uv) > 0 and len(uv_faces) == len(faces)
    return RawModel(
        name="surrey",
        version=str(count),
        licence=LICENCE,
        mean=shape.mean.astype(np.float64).reshape(-1, 3),
        faces=faces,
        identity=identity,
        expression=expression.astype(np.float32),
        expression_names=names,
        diffuse=diffuse,
        # eos' texture coordinates count from the top.
        uv=(uv * (1.0, -1.0) + (0.0, 1.0)) if has_uv else None,
        uv_faces=uv_faces.astype(np.int64) if has_uv else None,
        anchors=ANCHORS if anchors is None else anchors,
    )


def _read_model(cursor: _Cursor) -> tuple[_Pca, _Pca, list[tuple[str, ndarray]], ndarray, ndarray]:
    version = cursor.number("I")
    if version not in VERSIONS:
        raise ValueError(f"version {version}, expected one of {VERSIONS}")
    shape, colour = _read_pca(cursor), _read_pca(cursor)
    expressions: list[tuple[str, ndarray]] = []
    if version >= 2 and not cursor.number("?"):
        alternative = cursor.number("i")
        if alternative == PCA:
            expressions = _pca_expressions(_read_pca(cursor))
        elif alternative == BLENDSHAPES:
            expressions = _read_blendshapes(cursor)
        else:
            raise ValueError(f"expression model {alternative}")
    if version >= 3 and not cursor.number("?"):
        for _ in range(cursor.number("Q")):
            cursor.text()
            cursor.number("i")
    uv = cursor.array(cursor.number("Q"), "<f8", 2)
    triangles = (
        cursor.array(cursor.number("Q"), "<i4", 3) if version >= 4 else np.zeros((0, 3), dtype=np.int64)
    )
    return shape, colour, expressions, uv, triangles


def _read_pca(cursor: _Cursor) -> _Pca:
    mean, basis, variance = cursor.matrix(), cursor.matrix(), cursor.matrix()
    triangles = cursor.array(cursor.number("Q"), "<i4", 3)
    mean, variance = mean.ravel(), variance.ravel()
    if mean.size % 3 or basis.shape != (mean.size, variance.size):
        raise ValueError(f"a mean of {mean.size} numbers beside a basis of {basis.shape}")
    if variance.size and variance.min() < 0:
        raise ValueError("a variance is negative")
    return _Pca(mean, basis, variance, triangles)


def _scaled(model: _Pca) -> ndarray:
    return standard_deviations(model.basis, np.sqrt(model.variance))


def _pca_expressions(model: _Pca) -> list[tuple[str, ndarray]]:
    moves = _scaled(model).reshape(len(model.variance), -1)
    return [
        ("mean_expression", model.mean),
        *((f"expression{number:03d}", move) for number, move in enumerate(moves)),
    ]


def _read_blendshapes(cursor: _Cursor) -> list[tuple[str, ndarray]]:
    return [(cursor.text(), cursor.matrix().ravel()) for _ in range(cursor.number("Q"))]
