"""Take rows by index and add rows up by index, with the additions in a fixed order on every device."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable


def take_rows(values: Float[Tensor, "N C"], index: Int[Tensor, " M"]) -> Float[Tensor, "M C"]:
    """``values[index]`` whose gradient is summed in a fixed order (plain indexing's is not)."""
    result: Any = _TakeRows.apply(values, index)
    return result


def add_rows(index: Int[Tensor, " M"], rows: Float[Tensor, "M C"], count: int) -> Float[Tensor, "N C"]:
    """Sum the rows that share an index into ``count`` rows; not differentiable in itself."""
    out = rows.new_zeros(count, rows.shape[1])
    if rows.device.type == "cpu":
        return out.index_add_(0, index, rows)
    # On CUDA index_add_ adds atomically in any order; index_put_ with accumulate sorts first.
    return out.index_put_((index.long(),), rows, accumulate=True)


class _TakeRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.count = values.shape[0]
        return values.index_select(0, index)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Any) -> Any:
        (index,) = ctx.saved_tensors
        return add_rows(index, grad.contiguous(), ctx.count), None
