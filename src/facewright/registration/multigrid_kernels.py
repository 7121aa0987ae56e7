"""Numba kernels of ``multigrid``: symmetric matrices of 4 x 4 blocks by rows, vectors (N, 4, 3)."""
# ruff: noqa: ANN001, ANN201, ANN202  numba infers the types of a kernel

from typing import no_type_check

import numpy as np

from facewright.core.kernels import kernel


@kernel(error_model="numpy", inline="always")
@no_type_check
def _row(column, blocks, x, first, last, a):
    """Component ``a`` of some blocks of one row times a vector."""
    p = q = r = 0.0
    for slot in range(first, last):
        j = column[slot]
        for b in range(4):
            value = blocks[slot, a, b]
            p += value * x[j, b, 0]
            q += value * x[j, b, 1]
            r += value * x[j, b, 2]
    return p, q, r


@kernel(error_model="numpy", inline="always")
@no_type_check
def _correct(inverse, i, residual, x):
    """Add one block times its residual (4, 3)."""
    for a in range(4):
        for c in range(3):
            value = 0.0
            for b in range(4):
                value += inverse[i, a, b] * residual[b, c]
            x[i, a, c] += value


@kernel(error_model="numpy")
@no_type_check
def multiply(start, column, blocks, x, out):
    """Matrix times vector."""
    for i in range(len(start) - 1):
        for a in range(4):
            p, q, r = _row(column, blocks, x, start[i], start[i + 1], a)
            out[i, a, 0], out[i, a, 1], out[i, a, 2] = p, q, r


@kernel(error_model="numpy")
@no_type_check
def smooth_from_zero(start, middle, column, blocks, inverse, right, x, residual, room):
    """A forward Gauss-Seidel sweep from x = 0, and the residual it leaves; ``room``: (4, 3)."""
    count = len(start) - 1
    x[:] = 0
    for i in range(count):
        for a in range(4):
            p, q, r = _row(column, blocks, x, start[i], middle[i], a)
            room[a, 0] = right[i, a, 0] - p
            room[a, 1] = right[i, a, 1] - q
            room[a, 2] = right[i, a, 2] - r
        _correct(inverse, i, room, x)
    # Row i was solved with what came before it; what came after it is left.
    for i in range(count):
        for a in range(4):
            p, q, r = _row(column, blocks, x, middle[i] + 1, start[i + 1], a)
            residual[i, a, 0], residual[i, a, 1], residual[i, a, 2] = -p, -q, -r


@kernel(error_model="numpy")
@no_type_check
def smooth_back(start, column, blocks, inverse, right, x, room):
    """A backward Gauss-Seidel sweep, so that both sweeps together are symmetric; ``room``: (4, 3)."""
    for i in range(len(start) - 2, -1, -1):
        for a in range(4):
            p, q, r = _row(column, blocks, x, start[i], start[i + 1], a)
            room[a, 0] = right[i, a, 0] - p
            room[a, 1] = right[i, a, 1] - q
            room[a, 2] = right[i, a, 2] - r
        _correct(inverse, i, room, x)


@kernel(error_model="numpy")
@no_type_check
def restrict(start, column, share, fine, coarse):
    """Sum up a fine vector by the rows of the prolongation."""
    coarse[:] = 0
    for i in range(len(start) - 1):
        for slot in range(start[i], start[i + 1]):
            j = column[slot]
            for a in range(4):
                for c in range(3):
                    coarse[j, a, c] += share[slot] * fine[i, a, c]


@kernel(error_model="numpy")
@no_type_check
def prolong(start, column, share, coarse, fine):
    """Add a coarse vector to a fine one."""
    for i in range(len(start) - 1):
        for slot in range(start[i], start[i + 1]):
            j = column[slot]
            for a in range(4):
                for c in range(3):
                    fine[i, a, c] += share[slot] * coarse[j, a, c]


@kernel(error_model="numpy")
@no_type_check
def coarse_blocks(fine, prolongation, coarse, room):
    """The blocks of P' A P for a pattern that has room for all of them.

    Args:
        fine: row starts, columns and blocks of A.
        prolongation: row starts, columns and shares of P.
        coarse: row starts, columns and blocks (written) of the product.
        room: -1 for each coarse row.
    """
    start, column, blocks = fine
    p_start, p_column, share = prolongation
    c_start, c_column, out = coarse
    out[:] = 0
    for i in range(len(start) - 1):
        for own in range(p_start[i], p_start[i + 1]):
            row = p_column[own]
            for slot in range(c_start[row], c_start[row + 1]):
                room[c_column[slot]] = slot
            for slot in range(start[i], start[i + 1]):
                j = column[slot]
                for other in range(p_start[j], p_start[j + 1]):
                    place = room[p_column[other]]
                    both = share[own] * share[other]
                    for a in range(4):
                        for b in range(4):
                            out[place, a, b] += both * blocks[slot, a, b]


@kernel(error_model="numpy")
@no_type_check
def aggregate(start, column, group):
    """Put nodes and all their strong neighbours into groups; what is left joins a neighbouring group.

    Args:
        start: row starts of the graph of strong ties, the strongest of each node first.
        column: its columns, without the diagonal.
        group: -1 for each node; written.

    Returns:
        The number of groups.

    **Source:** Vanek, Mandel and Brezina 1996, "Algebraic multigrid by smoothed aggregation", algorithm 5.1.
    """
    count = 0
    for i in range(len(start) - 1):
        free = group[i] < 0
        for slot in range(start[i], start[i + 1]):
            free = free and group[column[slot]] < 0
        if free and start[i + 1] > start[i]:
            group[i] = count
            for slot in range(start[i], start[i + 1]):
                group[column[slot]] = count
            count += 1
    grown = group.copy()
    for i in range(len(start) - 1):
        for slot in range(start[i], start[i + 1]):
            if grown[i] < 0 and group[column[slot]] >= 0:
                grown[i] = group[column[slot]]
    group[:] = grown
    for i in range(len(start) - 1):
        if group[i] < 0:
            group[i] = count
            for slot in range(start[i], start[i + 1]):
                if group[column[slot]] < 0:
                    group[column[slot]] = count
            count += 1
    return count


@kernel(error_model="numpy")
@no_type_check
def inverses(blocks, middle, out):
    """Inverses of the blocks on the diagonal, by their Cholesky factors."""
    factor = np.zeros((4, 4))
    for i in range(len(middle)):
        block = blocks[middle[i]]
        # The inverse of the lower factor takes the place of the factor, column by column.
        for a in range(4):
            for b in range(a + 1):
                value = block[a, b]
                for k in range(b):
                    value -= factor[a, k] * factor[b, k]
                factor[a, b] = np.sqrt(value) if a == b else value / factor[b, b]
        for c in range(4):
            for a in range(c, 4):
                value = 1.0 if a == c else 0.0
                for k in range(c, a):
                    value -= factor[a, k] * out[i, k, c]
                out[i, a, c] = value / factor[a, a]
            for a in range(3, c - 1, -1):
                value = out[i, a, c]
                for k in range(a + 1, 4):
                    value -= factor[k, a] * out[i, k, c]
                out[i, a, c] = value / factor[a, a]
            for a in range(c):
                out[i, a, c] = out[i, c, a]


@kernel(error_model="numpy")
@no_type_check
def dot(first, second):
    """Products of the columns of two vectors."""
    p = q = r = 0.0
    for i in range(len(first)):
        for a in range(4):
            p += first[i, a, 0] * second[i, a, 0]
            q += first[i, a, 1] * second[i, a, 1]
            r += first[i, a, 2] * second[i, a, 2]
    return np.array([p, q, r])


@kernel(error_model="numpy")
@no_type_check
def combine(first, factor, second, out):
    """``factor * first + second`` with a factor for each column; ``out`` may be either."""
    for i in range(len(first)):
        for a in range(4):
            for c in range(3):
                out[i, a, c] = factor[c] * first[i, a, c] + second[i, a, c]
