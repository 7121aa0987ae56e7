"""Which part of a task's losses is computed in float32, whatever the run's precision is."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def in_float32(like: Tensor) -> AbstractContextManager[object]:
    """Leave autocast: a network gains by bfloat16, but 8 bits are too few for points, cosines and losses.

    What a network gave must be turned to float32 (``Tensor.float``) first.

    Args:
        like: any tensor on the device.
    """
    kind = like.device.type
    if not torch.amp.is_autocast_available(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)
