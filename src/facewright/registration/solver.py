"""Sparse symmetric positive definite systems whose pattern stays while their values change.

MKL's PARDISO where the package pypardiso is installed (``pip install facewright[scans]``): its symbolic phase
runs once. Elsewhere scipy's SuperLU in symmetric mode, which is several times slower on such systems.
"""

from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int32
from numpy import ndarray
from scipy import sparse

from facewright.core.errors import UnavailableError

SolverName = Literal["auto", "pardiso", "superlu"]
SYMMETRIC_POSITIVE = 2  # PARDISO's matrix type
ANALYSE, FACTORISE, SOLVE, RELEASE = 11, 22, 33, -1  # PARDISO's phases


@runtime_checkable
class Solver(Protocol):
    """Solves systems of one pattern; ``name`` goes into reports."""

    name: str

    def factorise(self, values: Float[ndarray, " N"]) -> None:
        """Take new values of the upper triangle, in the order of the pattern."""
        ...

    def solve(self, right: Float[ndarray, "R C"]) -> Float[ndarray, "R C"]:
        """Solve for several right-hand sides with the last values."""
        ...

    def close(self) -> None:
        """Give the memory of the factors back."""
        ...


def make_solver(
    start: Int32[ndarray, " S"], column: Int32[ndarray, " N"], name: SolverName = "auto"
) -> Solver:
    """Make a solver for the upper triangle (diagonal included) of a symmetric matrix.

    Args:
        start: where each row begins in ``column``, and the end.
        column: column numbers, increasing in each row.
        name: "auto" takes PARDISO where pypardiso is installed.

    Raises:
        UnavailableError: PARDISO was asked for by name and is not there.
    """
    if name == "superlu":
        return SuperLu(start, column)
    try:
        return Pardiso(start, column)
    except ImportError as error:
        if name == "pardiso":
            raise UnavailableError(
                f"the solver PARDISO needs the package pypardiso ({error}): pip install facewright[scans]."
            ) from error
        return SuperLu(start, column)


class Pardiso:
    """MKL's direct solver through pypardiso, the one place that imports it."""

    name = "pardiso (MKL)"

    def __init__(self, start: ndarray, column: ndarray) -> None:
        from pypardiso import PyPardisoSolver  # pyright: ignore[reportMissingImports]

        self._pardiso: Any = PyPardisoSolver(mtype=SYMMETRIC_POSITIVE)
        count = len(start) - 1
        ones = np.ones(len(column))
        self._matrix = sparse.csr_matrix((ones, column, start), shape=(count, count))
        self._nothing = np.zeros((count, 1))
        self._run(ANALYSE, self._nothing)

    def factorise(self, values: Float[ndarray, " N"]) -> None:
        """Numeric phase only."""
        self._matrix.data = np.ascontiguousarray(values)
        self._run(FACTORISE, self._nothing)

    def solve(self, right: Float[ndarray, "R C"]) -> Float[ndarray, "R C"]:
        """Solve with the last values."""
        return self._run(SOLVE, np.asfortranarray(right))

    def close(self) -> None:
        """Give MKL's memory back."""
        self._run(RELEASE, self._nothing)

    def _run(self, phase: int, right: ndarray) -> ndarray:
        # pypardiso's public methods repeat the symbolic phase and copy the matrix; this one does neither.
        self._pardiso.set_phase(phase)
        return self._pardiso._call_pardiso(self._matrix, right)


class SuperLu:
    """scipy's sparse LU, told that the matrix is symmetric."""

    name = "superlu (scipy)"

    def __init__(self, start: ndarray, column: ndarray) -> None:
        count = len(start) - 1
        # Where each entry of the whole matrix comes from in the upper triangle.
        numbers = np.arange(1, len(column) + 1)
        upper = sparse.csr_matrix((numbers, column, start), shape=(count, count))
        whole = (upper + sparse.triu(upper, 1).T).tocsc()
        whole.sort_indices()
        self._source = whole.data - 1
        self._matrix = sparse.csc_matrix(
            (np.zeros(len(self._source)), whole.indices, whole.indptr), shape=(count, count)
        )
        self._factor: Any = None

    def factorise(self, values: Float[ndarray, " N"]) -> None:
        """Symbolic and numeric phase."""
        from scipy.sparse.linalg import splu

        self._matrix.data[:] = values[self._source]
        self._factor = splu(
            self._matrix,
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )

    def solve(self, right: Float[ndarray, "R C"]) -> Float[ndarray, "R C"]:
        """Solve with the last values."""
        return self._factor.solve(np.ascontiguousarray(right))

    def close(self) -> None:
        """Drop the factors."""
        self._factor = None
