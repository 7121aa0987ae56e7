"""Catmull-Clark subdivision as sparse matrices, whole or only where it is asked for."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import sparse

Array = np.ndarray


@dataclasses.dataclass(frozen=True)
class Level:
    """One refinement of a quad mesh; the first points of the fine level are those of the coarse one."""

    quads: Array  # (Q,4) coarse
    edge: Array  # (Q,4) fine index of the point on the edge from corner k to corner k+1
    centre: Array  # (Q,) fine index of the point inside
    matrix: sparse.csr_matrix  # (fine, coarse)

    @property
    def children(self) -> Array:
        """(4Q,4) fine quads: the four of quad ``q`` are ``4q .. 4q+3``, each beginning at a coarse corner."""
        rows = [
            np.stack([self.quads[:, k], self.edge[:, k], self.centre, self.edge[:, k - 1]], axis=1)
            for k in range(4)
        ]
        return np.stack(rows, axis=1).reshape(-1, 4)


def refine(quads: Array, count: int, *, smooth: bool) -> Level:
    """Split each quad in four.

    Args:
        quads: (Q,4) indices of a manifold mesh, borders allowed.
        count: number of points.
        smooth: Catmull-Clark weights; otherwise edge midpoints and quad centres (for texture coordinates).

    **Source:** Catmull and Clark 1978; border rule of Hoppe et al. 1994 (cubic B-spline along the border).
    """
    ends = np.stack([quads, np.roll(quads, -1, axis=1)], axis=2).reshape(-1, 2)
    pairs, edge_of = np.unique(np.sort(ends, axis=1), axis=0, return_inverse=True)
    edge_of = edge_of.reshape(-1, 4)
    edges, faces = len(pairs), len(quads)
    centre = _rows(np.repeat(np.arange(faces), 4), quads.ravel(), 0.25, (faces, count))
    middle = _rows(np.repeat(np.arange(edges), 2), pairs.ravel(), 0.5, (edges, count))
    if smooth:
        vertex_rule, edge_rule = _catmull_clark(quads, pairs, edge_of, centre, middle, count)
    else:
        vertex_rule, edge_rule = sparse.identity(count, format="csr"), middle
    matrix = sparse.vstack([vertex_rule, edge_rule, centre]).tocsr()
    return Level(quads, count + edge_of, count + edges + np.arange(faces), matrix)  # pyright: ignore[reportArgumentType]


def _rows(row: Array, column: Array, weight: float, shape: tuple[int, int]) -> sparse.csr_matrix:
    return sparse.csr_matrix((np.full(len(row), weight), (row, column)), shape=shape)


def _catmull_clark(
    quads: Array,
    pairs: Array,
    edge_of: Array,
    centre: sparse.csr_matrix,
    middle: sparse.csr_matrix,
    count: int,
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    faces, edges = len(quads), len(pairs)
    edge_face = _rows(edge_of.ravel(), np.repeat(np.arange(faces), 4), 1.0, (edges, faces))
    border_edge = np.bincount(edge_of.ravel(), minlength=edges) == 1
    inner = sparse.diags(np.where(border_edge, 0.0, 0.25))
    # Edge point: mean of its two ends and its two face points (border: its middle).
    edge_rule = sparse.diags(np.where(border_edge, 1.0, 0.5)) @ middle + inner @ edge_face @ centre

    border = np.zeros(count, dtype=bool)
    border[pairs[border_edge]] = True
    vertex_face = _rows(quads.ravel(), np.repeat(np.arange(faces), 4), 1.0, (count, faces))
    vertex_edge = _rows(pairs.ravel(), np.repeat(np.arange(edges), 2), 1.0, (count, edges))
    valence = np.maximum(np.asarray(vertex_face.sum(axis=1)).ravel(), 1.0)
    edge_valence = np.maximum(np.asarray(vertex_edge.sum(axis=1)).ravel(), 1.0)
    free = np.where(border, 0.0, 1.0)
    # Vertex: (F + 2R + (n-3) V) / n, F mean of face points, R mean of edge middles.
    vertex_rule = (
        sparse.diags(free / valence**2) @ vertex_face @ centre
        + sparse.diags(2.0 * free / (valence * edge_valence)) @ vertex_edge @ middle
        + sparse.diags(free * (valence - 3.0) / valence)
    )
    # Border vertex: 3/4 itself, 1/8 each border neighbour = 1/2 itself + 1/2 mean of its border edge middles.
    along = vertex_edge @ sparse.diags(border_edge.astype(float))
    along_valence = np.maximum(np.asarray(along.sum(axis=1)).ravel(), 1.0)
    vertex_rule = (
        vertex_rule
        + sparse.diags(np.where(border, 0.5 / along_valence, 0.0)) @ along @ middle
        + sparse.diags(np.where(border, 0.5, 0.0))
    )
    # A point no quad uses stays where it is.
    lonely = np.asarray(vertex_face.sum(axis=1)).ravel() == 0
    return (vertex_rule + sparse.diags(np.where(lonely, 3.0, 0.0))).tocsr(), edge_rule.tocsr()


@dataclasses.dataclass(frozen=True)
class AdaptiveMesh:
    """A crack-free triangle mesh of mixed depth and the matrices that give its points from the source's."""

    faces: Array  # (F,3)
    matrix: sparse.csr_matrix  # (V, source vertices)
    uv_faces: Array  # (F,3)
    uv_matrix: sparse.csr_matrix  # (T, source texture coordinates)
    quad: Array  # (F,) the source quad each triangle lies in


def subdivide_where(levels: list[Level], uv_levels: list[Level], depth: Array, points: Array) -> AdaptiveMesh:
    """Triangulate a quad mesh with each quad at its own depth.

    Args:
        levels: consecutive refinements, coarse to fine.
        uv_levels: the same refinements of the same quads over texture coordinates.
        depth: (Q,) how often each quad of the first level is to be split, 0..len(levels).
        points: (source,3) positions by which a quad's shorter diagonal is chosen.
    """
    # Coarse points move when a finer level is made: all positions are those of the finest level.
    full, uv_full = levels[0].matrix, uv_levels[0].matrix
    for level, uv_level in zip(levels[1:], uv_levels[1:], strict=True):
        full, uv_full = level.matrix @ full, uv_level.matrix @ uv_full
    position = full @ points
    walker = _Walker(levels, uv_levels, depth)
    corners, owners = [], []
    for number, (index, owner) in enumerate(walker.leaves):
        for row, source_quad in zip(index.tolist(), owner.tolist(), strict=True):
            new = _triangulate(walker.ring(number, row), walker.hub(number, row), position)
            corners += new
            owners += [source_quad] * len(new)
    flat = np.asarray(corners, dtype=np.int64)  # (F,3,2): vertex and texture index
    kept, faces = np.unique(flat[..., 0], return_inverse=True)
    uv_kept, uv_faces = np.unique(flat[..., 1], return_inverse=True)
    return AdaptiveMesh(
        faces.reshape(-1, 3),
        full[kept].tocsr(),  # pyright: ignore[reportAttributeAccessIssue]
        uv_faces.reshape(-1, 3),
        uv_full[uv_kept].tocsr(),  # pyright: ignore[reportAttributeAccessIssue]
        np.asarray(owners, dtype=np.int64),
    )


Corner = tuple[int, int]  # vertex index, texture index


def _triangulate(
    ring: list[Corner], hub: Corner | None, position: Array
) -> list[tuple[Corner, Corner, Corner]]:
    if len(ring) > 4 and hub is not None:
        return [(ring[k], ring[(k + 1) % len(ring)], hub) for k in range(len(ring))]
    a, b, c, d = ring
    across, along = position[a[0]] - position[c[0]], position[b[0]] - position[d[0]]
    return [(a, b, c), (a, c, d)] if across @ across <= along @ along else [(a, b, d), (b, c, d)]


class _Walker:
    """Which quads of which level are leaves, and the points on their borders."""

    def __init__(self, levels: list[Level], uv_levels: list[Level], depth: Array) -> None:
        self.levels, self.uv_levels = levels, uv_levels
        self.quads = [*(level.quads for level in levels), levels[-1].children]
        self.uv_quads = [*(level.quads for level in uv_levels), uv_levels[-1].children]
        self.middle, self.uv_middle = _edge_middles(levels), _edge_middles(uv_levels)
        self.leaves: list[tuple[Array, Array]] = []
        alive, owner = np.arange(len(depth)), np.arange(len(depth))
        self.used = np.zeros(levels[-1].matrix.shape[0], dtype=bool)  # pyright: ignore[reportOptionalSubscript]
        for number, level_quads in enumerate(self.quads):
            stop = depth[owner] == number
            self.leaves.append((alive[stop], owner[stop]))
            self.used[level_quads[alive[stop]]] = True
            alive, owner = (alive[~stop, None] * 4 + np.arange(4)).ravel(), np.repeat(owner[~stop], 4)

    def ring(self, number: int, row: int) -> list[Corner]:
        quad = list(zip(self.quads[number][row].tolist(), self.uv_quads[number][row].tolist(), strict=True))
        return [point for k in range(4) for point in self._walk(quad[k], quad[(k + 1) % 4])]

    def hub(self, number: int, row: int) -> Corner | None:
        if number == len(self.levels):
            return None
        return int(self.levels[number].centre[row]), int(self.uv_levels[number].centre[row])

    def _walk(self, start: Corner, end: Corner) -> list[Corner]:
        """Points of an edge from ``start`` up to, not including, ``end``."""
        point = self.middle.get((min(start[0], end[0]), max(start[0], end[0])))
        if point is None or not self.used[point]:
            return [start]
        middle = (point, self.uv_middle[(min(start[1], end[1]), max(start[1], end[1]))])
        return self._walk(start, middle) + self._walk(middle, end)


def _edge_middles(levels: list[Level]) -> dict[tuple[int, int], int]:
    middle: dict[tuple[int, int], int] = {}
    for level in levels:
        ends = np.stack([level.quads, np.roll(level.quads, -1, axis=1)], axis=2).reshape(-1, 2)
        keys = map(tuple, np.sort(ends, axis=1).tolist())
        middle.update(zip(keys, level.edge.ravel().tolist(), strict=True))
    return middle
