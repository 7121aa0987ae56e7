"""Where a landmark fit starts: pose of the mean head by a linear camera, focal length by rule."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from facewright.fitting.landmark_basis import LandmarkBasis
from facewright.fitting.orthographic import orthographic_pose


@dataclass(frozen=True)
class State:
    """The unknowns of a landmark fit: own pose and expression of each photo, identity of each person.

    Attributes:
        rotation: camera_from_head.
        translation: mm, camera frame.
        identity: standard deviations.
        expression: activations.
    """

    rotation: Float[Tensor, "B 3 3"]
    translation: Float[Tensor, "B 3"]
    identity: Float[Tensor, "P K_identity"]
    expression: Float[Tensor, "B K_expression"]

    def where(self, accepted: Bool[Tensor, " P"], other: "State", person: Int64[Tensor, " B"]) -> "State":
        """The other state for the persons accepted, this one for the rest."""
        own = accepted[person]
        return State(
            torch.where(own[:, None, None], other.rotation, self.rotation),
            torch.where(own[:, None], other.translation, self.translation),
            torch.where(accepted[:, None], other.identity, self.identity),
            torch.where(own[:, None], other.expression, self.expression),
        )

    def coefficients(self, person: Int64[Tensor, " B"]) -> Float[Tensor, "B K"]:
        """Identity, then expression, of each photo."""
        return torch.cat([self.identity[person], self.expression], 1)


def start(
    basis: LandmarkBasis,
    rays: Float[Tensor, "B L 2"],
    weights: Float[Tensor, "B L"],
    person: Int64[Tensor, " B"],
) -> State:
    """Expected head, rest expression, pose of the mean head by a scaled orthographic camera.

    **Source:** DeMenthon & Davis 1995, the first iteration of POS.
    """
    rotation, scale, offset = _basis_pose(basis, rays, weights)
    depth = 1 / scale
    translation = torch.cat([offset * depth[:, None], depth[:, None]], 1)
    persons, batch = int(person.max()) + 1, len(rays)
    identity = basis.centre.repeat(persons, 1)
    expression = basis.expressions.centre.clamp(0, 1).repeat(batch, 1)
    return State(rotation, translation, identity, expression)


def default_focal(
    basis: LandmarkBasis,
    observed: tuple[Float[Tensor, "B L 2"], Float[Tensor, "B L"]],
    sizes: Sequence[tuple[int, int]],
    focal: Float[Tensor, " B"] | None,
    rule: tuple[float, float],
) -> Float[Tensor, " B"]:
    """Focal lengths in pixels: the given ones, else those that put the mean head at the default distance.

    Args:
        basis: of the model.
        observed: landmarks in pixels, and the trust in each.
        sizes: (height, width) of the photos.
        focal: given ones, NaN or <= 0 where unknown.
        rule: default distance (mm), and least focal length as a fraction of the longer side.
    """
    (landmarks, weights), (distance, least) = observed, rule
    scale = _basis_pose(basis, landmarks, weights)[1]
    longer = landmarks.new_tensor([max(size) for size in sizes])
    assumed = torch.maximum(scale * distance, least * longer)
    if focal is None:
        return assumed
    focal = focal.to(assumed)
    return torch.where(torch.isfinite(focal) & (focal > 0), focal, assumed)


def _basis_pose(
    basis: LandmarkBasis, image: Float[Tensor, "B L 2"], weights: Float[Tensor, "B L"]
) -> tuple[Float[Tensor, "B 3 3"], Float[Tensor, " B"], Float[Tensor, "B 2"]]:
    """That of the mean head's landmarks, the contour's left out."""
    return orthographic_pose(basis.mean[:, : basis.count].T, image, weights * (~basis.contour))
