"""Closest points on a triangle surface: a vertex tree and the triangles around its nearest vertices.

The answer is exact. Triangles of ordinary size are found through their corners: a point of such a triangle is
never further than ``reach`` from one of its corners, so once every vertex within (best distance + reach) has
been looked at, nothing closer can exist. The few long triangles are found through a tree of their centroids.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray
from scipy.spatial import KDTree

from facewright.core.errors import InputError
from facewright.geometry.nearest_kernels import search_fans, search_triangles

NEIGHBOURS = 8
LONG = 3.0  # a triangle whose longest edge is more than this many median longest edges is "long"
COVER = 0.578  # > 1/sqrt(3): a point of a triangle is within COVER * longest edge of a corner


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
        carriers: the vertices of short triangles; no other vertex leads to a surface point.
        tree: of the carriers.
        fan_start: where each vertex's incident short triangles start in ``fan``, and the end.
        fan: incident short triangles of vertex 0, 1, ...
        reach: a point of a short triangle is within this distance of one of its corners.
        long: indices of the long triangles.
        long_tree: of their centroids, None if there are none.
        long_radius: a point of a long triangle is within this distance of its centroid.
    """

    vertices: Float[ndarray, "V 3"]
    faces: Int64[ndarray, "F 3"]
    carriers: Int64[ndarray, " R"]
    tree: KDTree
    fan_start: Int64[ndarray, " S"]
    fan: Int64[ndarray, " C"]
    reach: float
    long: Int64[ndarray, " L"]
    long_tree: KDTree | None
    long_radius: float


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
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1).max(1)
    is_long = longest > LONG * np.median(longest)
    short = np.flatnonzero(~is_long)
    start, fan = _fans(faces, short, len(vertices))
    carriers = np.unique(faces[short])
    long = np.flatnonzero(is_long)
    centroids = corners[long].mean(1)
    spread = np.linalg.norm(corners[long] - centroids[:, None], axis=-1)
    return SurfaceIndex(
        vertices=vertices,
        faces=faces,
        carriers=carriers,
        tree=KDTree(vertices[carriers]),
        fan_start=start,
        fan=fan,
        reach=float(COVER * longest[short].max(initial=0.0)),
        long=long,
        long_tree=KDTree(centroids) if len(long) else None,
        long_radius=float(spread.max(initial=0.0)),
    )


def closest_points(surface: SurfaceIndex, queries: Float[ndarray, "N 3"]) -> ClosestPoints:
    """The closest point of the surface for each query, exactly.

    Args:
        surface: made by ``index_surface``.
        queries: points in the frame of the surface.
    """
    queries = np.ascontiguousarray(queries, dtype=np.float64)
    count = min(NEIGHBOURS, len(surface.carriers))
    near_distance, near = surface.tree.query(queries, k=count)
    near, near_distance = near.reshape(len(queries), count), near_distance.reshape(len(queries), count)
    best = np.full(len(queries), np.inf)
    triangle = np.full(len(queries), -1, dtype=np.int64)
    weights = np.zeros((len(queries), 3))
    arrays = (surface.vertices, surface.faces, surface.fan_start, surface.fan)
    rows = np.arange(len(queries) + 1, dtype=np.int64) * count
    search_fans(queries, *arrays, rows, surface.carriers[near.ravel()], best, triangle, weights)

    # All vertices within `bound` must have been seen; the tree has shown those nearer than the last one.
    bound = np.where(np.isfinite(best), np.sqrt(best), near_distance[:, 0]) + surface.reach
    open_rows = np.flatnonzero((near_distance[:, -1] < bound) & (count < len(surface.carriers)))
    if len(open_rows):
        found = surface.tree.query_ball_point(queries[open_rows], bound[open_rows] * (1 + 1e-9))
        listed, starts = _packed(list(found))
        listed = surface.carriers[listed]
        _search_more(queries, arrays, open_rows, listed, starts, (best, triangle, weights))
    if surface.long_tree is not None:
        found = surface.long_tree.query_ball_point(queries, np.sqrt(best) + surface.long_radius)
        listed, starts = _packed(list(found))
        search_triangles(queries, *arrays[:2], starts, surface.long[listed], best, triangle, weights)
    points = (surface.vertices[surface.faces[triangle]] * weights[..., None]).sum(1)
    return ClosestPoints(points, np.sqrt(best), triangle, weights)


def _fans(faces: ndarray, chosen: ndarray, vertex_count: int) -> tuple[ndarray, ndarray]:
    corner = faces[chosen].ravel()
    order = np.argsort(corner, kind="stable")
    start = np.zeros(vertex_count + 1, dtype=np.int64)
    np.cumsum(np.bincount(corner, minlength=vertex_count), out=start[1:])
    return start, np.repeat(chosen, 3)[order].astype(np.int64)


def _packed(lists: list[list[int]]) -> tuple[ndarray, ndarray]:
    starts = np.zeros(len(lists) + 1, dtype=np.int64)
    np.cumsum([len(entry) for entry in lists], out=starts[1:])
    flat = np.fromiter((value for entry in lists for value in entry), dtype=np.int64, count=int(starts[-1]))
    return flat, starts


def _search_more(
    queries: ndarray,
    arrays: tuple[ndarray, ndarray, ndarray, ndarray],
    rows: ndarray,
    listed: ndarray,
    starts: ndarray,
    result: tuple[ndarray, ndarray, ndarray],
) -> None:
    best, triangle, weights = (array[rows].copy() for array in result)
    search_fans(queries[rows], *arrays, starts, listed, best, triangle, weights)
    for array, part in zip(result, (best, triangle, weights), strict=True):
        array[rows] = part
