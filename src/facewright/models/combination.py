"""Linear combinations whose rows do not depend on one another, to the bit.

A library's matrix product adds up in an order that depends on the shape of the whole batch; a synthetic
sample must be the same alone and in any batch.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.core.errors import InputError

WIDTH = 512  # columns of a turn


def combine(
    mean: Float[Tensor, "V 3"], *terms: tuple[Float[Tensor, "_ V 3"], Float[Tensor, "B _"]]
) -> Float[Tensor, "B V 3"]:
    """``mean + sum_k coefficients[k] * basis[k]`` for each row, on the CPU, the same bits in any batch.

    Args:
        mean: what all rows start from.
        terms: bases, each with the coefficients of all rows.

    Raises:
        InputError: a basis has another number of components than its coefficients, or lies on a device.
    """
    from facewright.models.combination_kernels import add_combination

    batch = len(terms[0][1]) if terms else 1
    out = mean.expand(batch, *mean.shape).clone(memory_format=torch.contiguous_format)
    if out.device.type != "cpu":
        raise InputError(f"expected a model on the CPU, got one on {out.device}.")
    for basis, coefficients in terms:
        if coefficients.shape != (batch, len(basis)):
            raise InputError(
                f"expected coefficients of shape ({batch}, {len(basis)}), got {tuple(coefficients.shape)}."
            )
        flat = basis.reshape(len(basis), -1).contiguous().numpy()
        rows = coefficients.to(basis.dtype).contiguous().numpy()
        add_combination(rows, flat, out.reshape(batch, -1).numpy(), WIDTH)
    return out
