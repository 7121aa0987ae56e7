"""The pose of known points under a camera far away."""

import torch
from jaxtyping import Float
from torch import Tensor


def orthographic_pose(
    points: Float[Tensor, "L 3"], image: Float[Tensor, "B L 2"], weights: Float[Tensor, "B L"]
) -> tuple[Float[Tensor, "B 3 3"], Float[Tensor, " B"], Float[Tensor, "B 2"]]:
    """Rotation, scale (image units per mm) and image position of the head's origin.

    Args:
        points: of the head, mm.
        image: where each is seen, y down.
        weights: trust in each, not all zero.
    """
    share = (weights / weights.sum(1, keepdim=True))[..., None]
    image_mean = (share * image).sum(1, keepdim=True)
    point_mean = (share * points).sum(1, keepdim=True)
    centred, offset = points - point_mean, image - image_mean
    spread = (share * centred).mT @ centred
    spread = spread + 1e-4 * torch.diag_embed(spread.diagonal(dim1=1, dim2=2))
    affine = torch.linalg.solve(spread, (share * centred).mT @ offset).mT  # (B, 2, 3)
    u, singular, vh = torch.linalg.svd(affine, full_matrices=False)
    rows = u @ vh
    rotation = torch.cat([rows, torch.linalg.cross(rows[:, :1], rows[:, 1:])], 1)
    # The depth of a face is poorly seen: the larger singular value is the one in the image plane.
    scale = singular.mean(-1)
    origin = image_mean - scale[:, None, None] * (point_mean @ rows.mT)
    return rotation, scale.clamp_min(1e-9), origin[:, 0]
