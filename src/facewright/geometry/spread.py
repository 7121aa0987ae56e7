"""Points that are evenly spread over a cloud: farthest-point sampling."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def spread_points(
    points: Float[Tensor, "N D"], count: int, first: int
) -> tuple[Int64[Tensor, " C"], Float[Tensor, " N"]]:
    """Choose points, each the farthest from those before it.

    Args:
        points: any unit.
        count: how many; points that coincide with chosen ones are chosen when no others are left.
        first: index of the point to begin with.

    Returns:
        Indices in the order of choice; distance of every point from the nearest chosen one.
    """
    chosen = [first]
    away = (points - points[first]).norm(dim=-1)
    while len(chosen) < count:
        chosen.append(int(away.argmax()))
        away = torch.minimum(away, (points - points[chosen[-1]]).norm(dim=-1))
    return torch.tensor(chosen, device=points.device), away
