"""Numba kernel of ``combine``."""
# ruff: noqa: ANN001, ANN201  numba infers the types of a kernel

from typing import no_type_check

from facewright.core.kernels import kernel


@kernel()
@no_type_check
def add_combination(coefficients, basis, out, width):
    """``out += coefficients @ basis``, each row's terms in the order of the basis, ``width`` columns a turn.

    A turn's part of the basis stays in the cache while all rows take it. Zero coefficients are passed over.
    """
    rows, terms = coefficients.shape
    columns = basis.shape[1]
    for first in range(0, columns, width):
        last = min(first + width, columns)
        for row in range(rows):
            target = out[row, first:last]
            for term in range(terms):
                weight = coefficients[row, term]
                if weight != 0.0:
                    source = basis[term, first:last]
                    for column in range(last - first):
                        target[column] += weight * source[column]
