"""Fill holes of a map smoothly, coarse to fine, in time proportional to its texels."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def planes(values: Float[Tensor, "H W C"]) -> Float[Tensor, "1 C H W"]:
    """A map as the functions here take it."""
    return values.permute(2, 0, 1)[None].contiguous()


def push_pull(
    values: Float[Tensor, "1 C H W"], weights: Float[Tensor, "1 1 H W"]
) -> Float[Tensor, "1 C H W"]:
    """Interpolate values of weight 1 into the texels of weight 0; weights between blend the two.

    **Source:** Gortler et al. 1996, The Lumigraph, section 3.4.3 (pull-push).
    **Differs:** box and bilinear filters in place of B-splines.
    """
    levels = [(values, weights)]
    while max(levels[-1][0].shape[-2:]) > 1:
        levels.append(_coarser(*levels[-1]))
    filled = levels[-1][0]
    for fine, weight in reversed(levels[:-1]):
        smooth = enlarge(filled, 2, fine.shape[-2:])
        filled = torch.lerp(smooth, fine, weight.clamp(max=1))
    return filled


def shrink(
    values: Float[Tensor, "1 C H W"], weights: Float[Tensor, "1 1 H W"], factor: int
) -> tuple[Float[Tensor, "1 C h w"], Float[Tensor, "1 1 h w"]]:
    """Weighted mean of blocks of ``factor`` x ``factor`` texels, and the mean weight of each block."""
    weight = functional.avg_pool2d(weights, factor, ceil_mode=True)
    total = functional.avg_pool2d(values * weights, factor, ceil_mode=True)
    return total / weight.clamp_min(1e-12), weight


def enlarge(coarse: Float[Tensor, "1 C h w"], factor: int, size: tuple[int, ...]) -> Float[Tensor, "1 C H W"]:
    """Undo ``shrink`` smoothly: each block's value lies at the middle of its ``factor`` x ``factor`` texels.

    A last block that reaches beyond ``size`` (height, width) is cut, so that no texel is shifted.
    """
    whole = functional.interpolate(coarse, scale_factor=factor, mode="bilinear", align_corners=False)
    return whole[..., : size[0], : size[1]]


def blur(
    values: Float[Tensor, "B C H W"], radius: int, weights: Float[Tensor, "B 1 H W"]
) -> Float[Tensor, "B C H W"]:
    """Weighted mean over a square window, twice (a tent); 0 where no texel nearby has weight."""
    total, weight = values * weights, weights
    for _ in range(2):
        total, weight = _box(total, radius), _box(weight, radius)
    return total / weight.clamp_min(1e-12)


def _box(planes: Tensor, radius: int) -> Tensor:
    side = 2 * radius + 1
    rows = functional.avg_pool2d(planes, (side, 1), 1, (radius, 0))
    return functional.avg_pool2d(rows, (1, side), 1, (0, radius))


def _coarser(values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    mean, weight = shrink(values, weights, 2)
    return mean, (4 * weight).clamp(max=1)
