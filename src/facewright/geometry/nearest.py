"""Closest points on a triangle surface, exactly: a tree of boxes around its triangles."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray

from facewright.core.errors import InputError
from facewright.core.threads import run_tasks
from facewright.geometry.nearest_kernels import bound_boxes, search_boxes

LEAF = 1  # triangles in the smallest boxes, at most: a box costs less to look at than a triangle
CHUNK = 4096  # queries of one task
BITS = 20  # of each coordinate in the order of the triangles


@dataclass(frozen=True)
class ClosestPoints:
    """The surface points closest to some queries.

    Attributes:
        points: the closest points, in the frame of the mesh.
        distance: to the query, in the unit of the mesh.
        triangle: the triangle that carries the point.
        barycentric: weights of the triangle's corners.
    """

    points: Float[ndarray, "N 3"]
    distance: Float[ndarray, " N"]
    triangle: Int64[ndarray, " N"]
    barycentric: Float[ndarray, "N 3"]


@dataclass(frozen=True)
class SurfaceIndex:
    """A triangle surface prepared for closest-point queries; made by ``index_surface``.

    Attributes:
        vertices: positions.
        faces: triangles.
        order: the triangles along a curve that keeps neighbours together; a box holds a piece of it, and its
            two halves are boxes 2 k + 1 and 2 k + 2.
        corners: of the triangles in that order.
        boxes: lowest and highest corner of each box.
    """

    vertices: Float[ndarray, "V 3"]
    faces: Int64[ndarray, "F 3"]
    order: Int64[ndarray, " F"]
    corners: Float[ndarray, "F 3 3"]
    boxes: Float[ndarray, "B 2 3"]


def index_surface(vertices: Float[ndarray, "V 3"], faces: Int64[ndarray, "F 3"]) -> SurfaceIndex:
    """Prepare a surface for closest-point queries.

    Args:
        vertices: finite positions.
        faces: triangles; degenerate ones are allowed.

    Raises:
        InputError: there is no triangle, or a coordinate is not finite.
    """
    if len(faces) == 0:
        raise InputError("a surface needs at least one triangle, got none.")
    if not np.isfinite(vertices).all():
        raise InputError("surface vertices must be finite, got NaN or infinity.")
    vertices = np.ascontiguousarray(vertices, dtype=np.float64)
    faces = np.ascontiguousarray(faces)
    corners = vertices[faces]
    order = np.argsort(_morton_codes(corners.mean(1)), kind="stable")
    corners = corners[order]
    levels = max(0, int(np.ceil(np.log2(len(faces) / LEAF))))
    boxes = np.empty((2 ** (levels + 1) - 1, 2, 3))
    bound_boxes(corners, boxes)
    return SurfaceIndex(vertices, faces, order, corners, boxes)


def closest_points(surface: SurfaceIndex, queries: Float[ndarray, "N 3"]) -> ClosestPoints:
    """The closest point of the surface for each query, exactly.

    Args:
        surface: made by ``index_surface``.
        queries: finite points in the frame of the surface.

    Raises:
        InputError: a query is not finite.
    """
    if not np.isfinite(queries).all():
        raise InputError("queries for closest points must be finite, got NaN or infinity.")
    queries = np.ascontiguousarray(queries, dtype=np.float64)
    squared = np.full(len(queries), np.inf)
    place = np.zeros(len(queries), dtype=np.int64)
    weights = np.zeros((len(queries), 3))
    run_tasks(
        search_boxes,
        [
            (queries, surface.corners, surface.boxes, slice_, squared, place, weights)
            for slice_ in _pieces(len(queries))
        ],
    )
    points = np.einsum("nk,nkc->nc", weights, surface.corners[place])
    return ClosestPoints(points, np.sqrt(squared), surface.order[place], weights)


def _pieces(count: int) -> list[tuple[int, int]]:
    return [(first, min(first + CHUNK, count)) for first in range(0, count, CHUNK)]


def _morton_codes(points: ndarray) -> ndarray:
    """Numbers whose order keeps neighbours together: the bits of the coordinates in turn.

    **Source:** Morton 1966, "A computer oriented geodetic data base and a new technique in file sequencing".
    """
    low = points.min(0)
    extent = max(float((points - low).max()), 1e-300)
    cells = ((points - low) * ((2**BITS - 1) / extent)).astype(np.uint64)
    # Two zeros between any two bits, in steps that halve the distance the bits have still to go.
    for shift, mask in (
        (32, 0x1F00000000FFFF),
        (16, 0x1F0000FF0000FF),
        (8, 0x100F00F00F00F00F),
        (4, 0x10C30C30C30C30C3),
        (2, 0x1249249249249249),
    ):
        cells = (cells | (cells << np.uint64(shift))) & np.uint64(mask)
    return cells[:, 0] | (cells[:, 1] << np.uint64(1)) | (cells[:, 2] << np.uint64(2))
