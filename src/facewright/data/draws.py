"""Random numbers as rows of a batch: drawn one sample at a time, computed with many at a time."""

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor


def row(values: float | int | np.number | ndarray) -> Float[Tensor, "1 ..."]:
    """Numbers of one sample as the only row of a batch."""
    return torch.from_numpy(np.asarray(values, dtype=np.float32)[None])
