"""Best rigid or similarity motion between two sets of corresponding points, weighted and batched."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.core.errors import InputError


@dataclass(frozen=True)
class Alignment:
    """target_from_source: ``target = scale * rotation @ source + translation``.

    Attributes:
        rotation: proper rotations.
        translation: in the unit of the points.
        scale: 1 for a rigid alignment.
    """

    rotation: Float[Tensor, "B 3 3"]
    translation: Float[Tensor, "B 3"]
    scale: Float[Tensor, " B"]

    def apply(self, points: Float[Tensor, "B N 3"]) -> Float[Tensor, "B N 3"]:
        """Move points from the source frame to the target frame."""
        return self.scale[:, None, None] * points @ self.rotation.mT + self.translation[:, None]

    def inverse(self) -> "Alignment":
        """source_from_target."""
        rotation, scale = self.rotation.mT, 1 / self.scale
        moved = scale[:, None] * (rotation @ self.translation[..., None])[..., 0]
        return Alignment(rotation, -moved, scale)


def align_points(
    source: Float[Tensor, "B N 3"],
    target: Float[Tensor, "B N 3"],
    weights: Float[Tensor, "B N"] | None = None,
    *,
    with_scale: bool = False,
) -> Alignment:
    """Least-squares motion that takes source points onto target points.

    Args:
        source: points.
        target: their counterparts.
        weights: non-negative weight of each pair; all alike if None.
        with_scale: also estimate a scale (similarity); otherwise the scale is 1 (rigid).

    Raises:
        InputError: fewer than three pairs, or no weight above zero.

    **Source:** Umeyama 1991, eqs. 40-42 (with weights, and without reflection).
    """
    if source.shape[1] < 3:
        raise InputError(f"an alignment needs at least 3 point pairs, got {source.shape[1]}.")
    if weights is None:
        weights = source.new_ones(source.shape[:2])
    total = weights.sum(1, keepdim=True)
    if bool((total <= 0).any()) or bool((weights < 0).any()):
        raise InputError("alignment weights must be >= 0 with a positive sum.")
    share = (weights / total)[..., None]
    source_mean, target_mean = (share * source).sum(1), (share * target).sum(1)
    source_centred, target_centred = source - source_mean[:, None], target - target_mean[:, None]
    covariance = (share * target_centred).mT @ source_centred
    u, singular, vh = torch.linalg.svd(covariance)
    signs = torch.ones_like(singular)
    signs[:, 2] = torch.det(u) * torch.det(vh)
    signs = signs.sign()
    rotation = (u * signs[:, None]) @ vh
    if with_scale:
        variance = (share * source_centred**2).sum((1, 2))
        scale = (singular * signs).sum(-1) / variance.clamp_min(1e-30)
    else:
        scale = torch.ones_like(total[:, 0])
    translation = target_mean - scale[:, None] * (rotation @ source_mean[..., None])[..., 0]
    return Alignment(rotation, translation, scale)
