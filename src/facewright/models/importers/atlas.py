"""One square for charts that lie on several tiles, or on one another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy import ndarray

FILLED = 0.96  # of a cell's side: charts keep a little away from one another


@dataclass(frozen=True)
class Cell:
    """Triangles of one chart, and the square of the map that they get.

    Attributes:
        triangles: which of the model's.
        corner: the square's lower left one, as (u, v).
        side: the square's.
    """

    triangles: Bool[ndarray, " F"]
    corner: tuple[float, float]
    side: float


def packed(
    uv: Float[ndarray, "T 2"], uv_faces: Int64[ndarray, "F 3"], cells: Sequence[Cell]
) -> tuple[Float[ndarray, "S 2"], Int64[ndarray, "F 3"]]:
    """Texture coordinates with each chart's tile shrunk into its cell.

    A triangle in no cell gets one point of the first cell's corner: it has no place on the map.

    Args:
        uv: on unit tiles; a triangle lies on one tile.
        uv_faces: their indices.
        cells: of the charts; a triangle is in one of them at most.
    """
    coordinates, faces, start = [np.asarray([cells[0].corner])], np.zeros_like(uv_faces), 1
    for cell in cells:
        used, own = np.unique(uv_faces[cell.triangles], return_inverse=True)
        local = uv[used] - np.floor(uv[used])
        coordinates.append(np.asarray(cell.corner) + cell.side * (0.5 + FILLED * (local - 0.5)))
        faces[cell.triangles] = own.reshape(-1, 3) + start
        start += len(used)
    return np.concatenate(coordinates), faces


def mirrored(uv: Float[ndarray, "T 2"], uv_faces: Int64[ndarray, "F 3"]) -> Bool[ndarray, " F"]:
    """Triangles that lie on the map the other way round, as one of two halves does that share their place."""
    a, b, c = (uv[uv_faces[:, corner]] for corner in range(3))
    return (b - a)[:, 0] * (c - a)[:, 1] < (b - a)[:, 1] * (c - a)[:, 0]
