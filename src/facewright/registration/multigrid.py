"""Systems of non-rigid ICP by conjugate gradients with a multigrid preconditioner.

The stiffness is a graph Laplacian, the same for each of an affine map's 12 entries; it says which vertices
move together, and so the coarse levels (groups of vertices that share a map) stay for all systems of a
template. Only the blocks of the matrix change, and a solve costs some passes over them, without factors.

**Source:** Vanek, Mandel and Brezina 1996, "Algebraic multigrid by smoothed aggregation"; Tatebe 1993, "The
multigrid preconditioned conjugate gradient method".
**Differs:** the levels come from the stiffness alone; the data's weights enter by Galerkin products.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray
from scipy import sparse

from facewright.registration import multigrid_kernels as kernels
from facewright.registration.solver import BlockPattern, SuperLu

STRONG = 0.08  # ties below this share of the geometric mean of their ends' diagonals are weak
COARSEST = 150  # nodes that are solved for at once
DAMPING = 2 / 3  # 4/3 over 2, the largest eigenvalue of a Laplacian divided by its diagonal
TOLERANCE = 1e-6  # of the error against the solution, both measured by the energy
MOST_STEPS = 200  # of conjugate gradients; usual are 5 to 10
RIDGE = 1e-12  # on the coarsest level: a piece of the template may be without any data


@dataclass(frozen=True)
class _Level:
    """Pattern and blocks of one level, and its share in the next coarser one."""

    pattern: BlockPattern
    blocks: ndarray  # (N,4,4), written for each matrix, as is
    inverse: ndarray  # (V,4,4), of the blocks on the diagonal
    prolongation: tuple[ndarray, ndarray, ndarray] | None  # row starts, columns, shares; None: the coarsest
    x: ndarray  # room for (V,4,3): a correction,
    right: ndarray  # what it is to correct,
    residual: ndarray  # and what it leaves

    @classmethod
    def of(cls, graph: sparse.csr_matrix, way: sparse.csr_matrix | None) -> "_Level":
        count = len(graph.indptr) - 1
        upper = sparse.triu(graph, 1).tocoo()
        pattern = BlockPattern.of(np.stack([upper.row, upper.col], axis=1).astype(np.int64), count)
        prolongation = None
        if way is not None:
            prolongation = (way.indptr.astype(np.int64), way.indices.astype(np.int64), way.data)
        x, right, residual = np.zeros((3, count, 4, 3))
        blocks, inverse = np.zeros((len(pattern.column), 4, 4)), np.zeros((count, 4, 4))
        return cls(pattern, blocks, inverse, prolongation, x, right, residual)

    @property
    def matrix(self) -> tuple[ndarray, ndarray, ndarray]:
        return self.pattern.start, self.pattern.column, self.blocks


class Multigrid:
    """Solves systems of one graph, each from a guess.

    Where the gradients do not converge, SuperLU solves the system instead, and ``name`` says so.

    Args:
        edges: between nodes, lower node first, sorted.
        weights: stiffness of the edges, positive.
        count: of the nodes.
        tolerance: relative error at which the gradients stop.
        most_steps: of the gradients.
    """

    def __init__(
        self,
        edges: Int64[ndarray, "E 2"],
        weights: Float[ndarray, " E"],
        count: int,
        *,
        tolerance: float = TOLERANCE,
        most_steps: int = MOST_STEPS,
    ) -> None:
        self._tolerance, self._most_steps = tolerance, most_steps
        self._given_up = 0
        self._levels: list[_Level] = []
        graph = _laplacian(edges, weights, count)
        while True:
            way = _coarsened(graph) if len(graph.indptr) - 1 > COARSEST else None
            self._levels.append(_Level.of(graph, way))
            if way is None:
                break
            graph = sparse.csr_matrix(way.T @ graph @ way)
        self._coarsest = SuperLu(self._levels[-1].pattern)
        self._room = np.zeros((4, 3))

    @property
    def name(self) -> str:
        """Which solver ran."""
        took_over = f", superlu in {self._given_up} of its systems" if self._given_up else ""
        return f"multigrid conjugate gradients{took_over}"

    def prepare(self, diagonal: Float[ndarray, "V 4 4"], beside: Float[ndarray, "E 4 4"]) -> None:
        """Take a matrix: the blocks on its diagonal, and the one above it of each edge."""
        self._given = diagonal, beside
        finest = self._levels[0]
        finest.pattern.fill(finest.blocks, diagonal, beside)
        for level, coarser in zip(self._levels[:-1], self._levels[1:], strict=True):
            kernels.inverses(level.blocks, level.pattern.middle, level.inverse)
            room = np.full(len(coarser.x), -1)
            kernels.coarse_blocks(level.matrix, level.prolongation, coarser.matrix, room)
        last = self._levels[-1]
        middle = last.blocks[last.pattern.middle]
        ridge = RIDGE * np.trace(middle, axis1=1, axis2=2).mean()
        self._coarsest.prepare(middle + ridge * np.eye(4), last.blocks[last.pattern.above])

    def solve(
        self, right: Float[ndarray, "V 4 3"], guess: Float[ndarray, "V 4 3"]
    ) -> Float[ndarray, "V 4 3"]:
        """Solve with the last matrix."""
        matrix = self._levels[0].matrix
        x, product = guess.copy(), np.empty_like(right)
        kernels.multiply(*matrix, x, product)
        residual, search = right - product, np.zeros_like(right)
        before = np.zeros(3)
        for _ in range(self._most_steps):
            better = self._cycle(0, residual)
            energy = kernels.dot(residual, better)
            if (energy <= self._tolerance**2 * kernels.dot(right, x)).all():
                return x
            kernels.combine(search, _over(energy, before), better, search)
            kernels.multiply(*matrix, search, product)
            step = _over(energy, kernels.dot(search, product))
            kernels.combine(search, step, x, x)
            kernels.combine(product, -step, residual, residual)
            before = energy
        self._given_up += 1
        direct = SuperLu(self._levels[0].pattern)
        direct.prepare(*self._given)
        return direct.solve(right, guess)

    def _cycle(self, number: int, right: ndarray) -> ndarray:
        """One V-cycle from zero; the same symmetric matrix times ``right``, whatever that is."""
        level = self._levels[number]
        if level.prolongation is None:
            return self._coarsest.solve(right, level.x)
        coarser = self._levels[number + 1]
        start, column, blocks = level.matrix
        tied = column, blocks, level.inverse, right, level.x
        kernels.smooth_from_zero(start, level.pattern.middle, *tied, level.residual, self._room)
        kernels.restrict(*level.prolongation, level.residual, coarser.right)
        kernels.prolong(*level.prolongation, self._cycle(number + 1, coarser.right), level.x)
        kernels.smooth_back(start, *tied, self._room)
        return level.x


def _over(energy: ndarray, other: ndarray) -> ndarray:
    """Ratios; 0 for a column that has nothing left to solve, or nothing before it."""
    return np.divide(energy, other, out=np.zeros(3), where=other > 0)


def _laplacian(edges: ndarray, weights: ndarray, count: int) -> sparse.csr_matrix:
    both = np.concatenate([weights, weights])
    rows, columns = np.concatenate([edges, edges[:, ::-1]]).T
    ties = sparse.csr_matrix((both, (rows, columns)), shape=(count, count))
    return sparse.csr_matrix(sparse.diags(np.bincount(rows, both, count)) - ties)


def _coarsened(graph: sparse.csr_matrix) -> sparse.csr_matrix | None:
    """The smoothed prolongation from groups of nodes; None if too little is strongly tied to form any."""
    count = len(graph.indptr) - 1
    row, column = np.repeat(np.arange(count), np.diff(graph.indptr)), np.asarray(graph.indices)
    tie, diagonal = -np.asarray(graph.data, dtype=np.float64), np.asarray(graph.diagonal())
    strong = (row != column) & (tie > STRONG * np.sqrt(diagonal[row] * diagonal[column]))
    row, column, tie = row[strong], column[strong], tie[strong]
    order = np.lexsort((-tie, row))
    row, column, tie = row[order], column[order], tie[order]
    start = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.bincount(row, minlength=count), out=start[1:])
    group = np.full(count, -1, dtype=np.int64)
    groups = kernels.aggregate(start, column.astype(np.int64), group)
    if groups > 0.8 * count:
        return None
    alone = sparse.csr_matrix((np.ones(count), (np.arange(count), group)), shape=(count, groups))
    # Weak ties are left out of what smooths, which keeps the coarse pattern small.
    ties = sparse.csr_matrix((tie, (row, column)), shape=(count, count))
    degree = np.asarray(ties.sum(1)).ravel()
    share = np.divide(DAMPING, degree, out=np.zeros(count), where=degree > 0)
    kept = np.where(degree > 0, 1 - DAMPING, 1.0)
    smoothed = sparse.csr_matrix(sparse.diags(kept) @ alone + sparse.diags(share) @ (ties @ alone))
    smoothed.sort_indices()
    return smoothed
