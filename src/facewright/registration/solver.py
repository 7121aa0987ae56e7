"""Sparse symmetric positive definite systems of 4 x 4 blocks whose pattern stays while their values change.

``multigrid`` solves them by conjugate gradients and needs no factors; ``superlu`` is scipy's direct solver,
many times slower at the size of a head: a reference, and what takes over where the gradients should not
converge.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray
from scipy import sparse
from scipy.sparse.linalg import splu

SolverName = Literal["multigrid", "superlu"]


@runtime_checkable
class Solver(Protocol):
    """Solves systems of one pattern; ``name`` goes into reports."""

    @property
    def name(self) -> str:
        """Which solver ran."""
        ...

    def prepare(self, diagonal: Float[ndarray, "V 4 4"], beside: Float[ndarray, "E 4 4"]) -> None:
        """Take a matrix: the blocks on its diagonal, and the one above it of each edge."""
        ...

    def solve(
        self, right: Float[ndarray, "V 4 3"], guess: Float[ndarray, "V 4 3"]
    ) -> Float[ndarray, "V 4 3"]:
        """Solve with the last matrix, near ``guess``."""
        ...


@dataclass(frozen=True)
class BlockPattern:
    """Where the blocks of a symmetric matrix stand: rows of blocks, both triangles; made by ``of``.

    Attributes:
        start: where each row begins in ``column``, and the end.
        column: columns of the blocks, increasing in each row.
        middle: place of each row's block on the diagonal.
        above: place of each edge's block in the upper triangle.
        below: and in the lower.
    """

    start: Int64[ndarray, " S"]
    column: Int64[ndarray, " N"]
    middle: Int64[ndarray, " V"]
    above: Int64[ndarray, " E"]
    below: Int64[ndarray, " E"]

    @classmethod
    def of(cls, edges: Int64[ndarray, "E 2"], count: int) -> "BlockPattern":
        """Pattern of a graph: a block for each of ``count`` nodes, two for each edge (lower node first)."""
        own = np.arange(count)
        rows = np.concatenate([own, edges[:, 0], edges[:, 1]])
        columns = np.concatenate([own, edges[:, 1], edges[:, 0]])
        order = np.lexsort((columns, rows))
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        start = np.zeros(count + 1, dtype=np.int64)
        np.cumsum(np.bincount(rows, minlength=count), out=start[1:])
        middle, above, below = np.split(place, [count, count + len(edges)])
        return cls(start, columns[order].astype(np.int64), middle, above, below)

    def fill(
        self,
        blocks: Float[ndarray, "N 4 4"],
        diagonal: Float[ndarray, "V 4 4"],
        beside: Float[ndarray, "E 4 4"],
    ) -> None:
        """Put blocks into their places."""
        blocks[self.middle] = diagonal
        blocks[self.above] = beside
        blocks[self.below] = beside.transpose(0, 2, 1)


class SuperLu:
    """scipy's sparse LU, told that the matrix is symmetric."""

    name = "superlu (scipy)"

    def __init__(self, pattern: BlockPattern) -> None:
        self._pattern = pattern
        self._blocks = np.zeros((len(pattern.column), 4, 4))

    def prepare(self, diagonal: Float[ndarray, "V 4 4"], beside: Float[ndarray, "E 4 4"]) -> None:
        """Factorise; symbolically as well, which SuperLU cannot keep."""
        self._pattern.fill(self._blocks, diagonal, beside)
        size = 4 * len(self._pattern.middle)
        whole = sparse.bsr_matrix((self._blocks, self._pattern.column, self._pattern.start), (size, size))
        self._factor = splu(
            whole.tocsc(),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )

    def solve(
        self,
        right: Float[ndarray, "V 4 3"],
        guess: Float[ndarray, "V 4 3"],  # noqa: ARG002  a direct solver needs none
    ) -> Float[ndarray, "V 4 3"]:
        """Solve with the last matrix."""
        return self._factor.solve(np.ascontiguousarray(right.reshape(-1, 3))).reshape(right.shape)
