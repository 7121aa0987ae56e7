"""Changes of size as matrices: pictures of a batch that each go through another size, all at once."""

from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

CPU = torch.device("cpu")
Filter = Literal["antialiased", "bilinear", "bicubic"]


@lru_cache(maxsize=2048)
def resize_matrix(kind: Filter, source: int, target: int, device: torch.device = CPU) -> Float[Tensor, "T S"]:
    """What ``torch.nn.functional.interpolate`` does to a line of ``source`` pixels."""
    mode = "bicubic" if kind == "bicubic" else "bilinear"
    unit = torch.eye(source)[None, None]
    return functional.interpolate(
        unit, size=(target, source), mode=mode, align_corners=False, antialias=kind == "antialiased"
    )[0, 0].to(device)


def by_matrices(
    planes: Float[Tensor, "B C H W"], matrices: Float[Tensor, "B T H"]
) -> Float[Tensor, "B C T T"]:
    """Each picture's rows and columns changed by its own matrix."""
    return matrices[:, None] @ planes @ matrices.mT[:, None]
