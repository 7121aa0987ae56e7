"""The third primitive: look a map up at texture coordinates."""

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample

from facewright.core.errors import InputError
from facewright.render.fragments import Fragments


def texture(
    uv: Float[Tensor, "B H W 2"],
    maps: Float[Tensor, "N Ht Wt C"],
    *,
    fragments: Fragments | None = None,
) -> Float[Tensor, "B H W C"]:
    """Bilinear look-up, clamped at the border; gradients to the map and to the coordinates.

    Args:
        uv: texture coordinates, origin bottom-left, v up; from ``interpolate`` with ``uv_faces``.
        maps: per image, or one (N = 1) for the batch; row 0 is v = 1.
        fragments: if given, pixels that are empty there come out 0 (uv = 0 is a valid coordinate otherwise).

    Raises:
        InputError: N is neither 1 nor the batch size.
    """
    if maps.shape[0] not in (1, uv.shape[0]):
        raise InputError(f"maps need 1 or {uv.shape[0]} rows (the batch), got {maps.shape[0]}.")
    grid = uv * uv.new_tensor([2.0, -2.0]) + uv.new_tensor([-1.0, 1.0])
    source = maps.permute(0, 3, 1, 2).expand(uv.shape[0], -1, -1, -1)
    looked_up = grid_sample(source, grid, mode="bilinear", padding_mode="border", align_corners=False)
    colors = looked_up.permute(0, 2, 3, 1)
    return colors if fragments is None else colors * fragments.covered[..., None]
