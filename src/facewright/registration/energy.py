"""The quadratic energy of non-rigid ICP, put together from blocks of rows.

Each vertex i carries an affine map X_i (4 x 3), so that it moves to ``[v_i 1] X_i``. Every term is a block of
rows ``weight * (point on the moved template - target)``; the stiffness ties the maps of neighbours together.
A further term (a contour, an image landmark) is one more ``Rows``, without another line here.

**Source:** Amberg, Romdhani and Vetter 2007, "Optimal step nonrigid ICP", eqs. 3-12.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray

from facewright.registration.multigrid import Multigrid
from facewright.registration.solver import BlockPattern, Solver, SolverName, SuperLu

Axes = tuple[bool, bool, bool]
ALL_AXES: Axes = (True, True, True)


@dataclass(frozen=True)
class Rows:
    """Points of the template that are to come to rest on targets.

    Attributes:
        triangle: the triangle that carries each point; None: each point is vertex ``vertex``.
        corner_weights: barycentric weights of the triangle's corners; None with ``vertex``.
        vertex: vertex of each point; None with ``triangle``.
        target: where each point is to be.
        weight: of the squared distance.
        axes: which coordinates are bound; an image landmark binds x and y only.
    """

    target: Float[ndarray, "N 3"]
    weight: Float[ndarray, " N"]
    vertex: Int64[ndarray, " N"] | None = None
    triangle: Int64[ndarray, " N"] | None = None
    corner_weights: Float[ndarray, "N 3"] | None = None
    axes: Axes = ALL_AXES


class AffineSystem:
    """Normal equations of the energy over one template; what no term changes is prepared once.

    Args:
        vertices: of the template; its frame and unit are those of all targets.
        faces: its triangles; vertices that no triangle uses are not allowed.
        edge_weights: a factor on the stiffness of each edge of ``edges_of(faces)``; 1 if None.
        gamma: weight of the maps' translation (and thereby of bending) against their linear part, in units
            of length.
        solver: which one.
    """

    def __init__(
        self,
        vertices: Float[ndarray, "V 3"],
        faces: Int64[ndarray, "F 3"],
        *,
        edge_weights: Float[ndarray, " E"] | None = None,
        gamma: float = 1.0,
        solver: SolverName = "multigrid",
    ) -> None:
        self.count, self.faces = len(vertices), faces
        self.position = np.concatenate([vertices, np.ones((self.count, 1))], axis=1)
        self.edges, self._face_edges = edges_of(faces)
        self._edge_weights = np.ones(len(self.edges)) if edge_weights is None else edge_weights
        self._g = np.array([1.0, 1.0, 1.0, gamma**2])
        # Affine maps that move nothing, from which the first solve starts.
        self._maps = np.tile(np.eye(4, 3), (self.count, 1, 1))
        self._solver: Solver = (
            Multigrid(self.edges, self._edge_weights, self.count)
            if solver == "multigrid"
            else SuperLu(BlockPattern.of(self.edges, self.count))
        )

    @property
    def solver_name(self) -> str:
        """Which solver ran."""
        return self._solver.name

    def solve(self, stiffness: Float[ndarray, " E"] | float, rows: Sequence[Rows]) -> Float[ndarray, "V 3"]:
        """Positions of the vertices that minimise the energy.

        Args:
            stiffness: weight of the differences of neighbouring maps (alpha squared), of all edges or each.
            rows: the terms.
        """
        groups: dict[tuple[int, ...], list[int]] = {}
        for axis in range(3):
            bound = tuple(number for number, term in enumerate(rows) if term.axes[axis])
            groups.setdefault(bound, []).append(axis)
        for bound, axes in groups.items():
            chosen = [rows[number] for number in bound]
            diagonal, beside, right = self._assembled(np.broadcast_to(stiffness, len(self.edges)), chosen)
            self._solver.prepare(diagonal, beside)
            here = np.isin(range(3), axes)
            # A column of zeros is solved already.
            self._maps = np.where(here, self._solver.solve(right * here, self._maps * here), self._maps)
        return np.einsum("va,vac->vc", self.position, self._maps)

    def carried(self, directions: Float[ndarray, "V 3"]) -> Float[ndarray, "V 3"]:
        """Directions at the vertices, turned and stretched by the vertices' maps."""
        return np.einsum("va,vac->vc", directions, self._maps[:, :3])

    def _assembled(self, stiffness: ndarray, rows: Sequence[Rows]) -> tuple[ndarray, ndarray, ndarray]:
        """Blocks of the diagonal and of the edges, and the right-hand sides."""
        tied = stiffness * self._edge_weights
        degree = np.bincount(self.edges.ravel(), np.repeat(tied, 2), self.count)
        diagonal = degree[:, None, None] * np.diag(self._g)
        beside = -tied[:, None, None] * np.diag(self._g)
        right = np.zeros((self.count, 4, 3))
        for term in rows:
            if term.vertex is not None:
                self._add_vertices(term, term.vertex, diagonal, right)
            else:
                self._add_points(term, diagonal, beside, right)
        return diagonal, beside, right

    def _add_vertices(self, term: Rows, vertex: ndarray, diagonal: ndarray, right: ndarray) -> None:
        weight = np.bincount(vertex, term.weight, self.count)
        pull = np.stack(
            [np.bincount(vertex, term.weight * term.target[:, axis], self.count) for axis in range(3)], axis=1
        )
        diagonal += weight[:, None, None] * (self.position[:, :, None] * self.position[:, None, :])
        right += self.position[:, :, None] * pull[:, None, :]

    def _add_points(self, term: Rows, diagonal: ndarray, beside: ndarray, right: ndarray) -> None:
        if term.triangle is None or term.corner_weights is None:
            raise ValueError("rows need vertices, or triangles with the weights of their corners")
        corners, share = self.faces[term.triangle], term.corner_weights
        for k in range(3):
            own, place = corners[:, k], self.position[corners[:, k]] * share[:, k : k + 1]
            pulled = (term.weight[:, None] * place)[:, :, None]
            np.add.at(diagonal, own, pulled * place[:, None, :])
            np.add.at(right, own, pulled * term.target[:, None, :])
            following = (k + 1) % 3  # edge k of the triangle joins the two
            other = corners[:, following]
            there = self.position[other] * share[:, following, None]
            block = pulled * there[:, None, :]
            block = np.where((own < other)[:, None, None], block, block.transpose(0, 2, 1))
            np.add.at(beside, self._face_edges[term.triangle, k], block)


def edges_of(faces: Int64[ndarray, "F 3"]) -> tuple[Int64[ndarray, "E 2"], Int64[ndarray, "F 3"]]:
    """Edges (lower vertex first), and the edge from corner k to corner k+1 of each triangle."""
    ends = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
    count = int(faces.max()) + 1
    keys, inverse = np.unique(ends[:, 0] * count + ends[:, 1], return_inverse=True)
    return np.stack([keys // count, keys % count], axis=1), inverse.reshape(-1, 3).astype(np.int64)
