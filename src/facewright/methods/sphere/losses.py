"""Losses of stage 2, each a function of its own, and their weights."""

import math
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from facewright.core.ranges import check_range
from facewright.geometry.laplacian import uniform_laplacian
from facewright.methods.sphere.codes import orthonormality_loss
from facewright.models.face_model import FaceModel
from facewright.models.sphere_model import SphereModel

TINY = 1e-6  # added under square roots, so that the gradient of a length of 0 is 0
LEAST_STD = 0.05  # of an expression: rarer ones are not bound tighter


@dataclass(frozen=True)
class SphereWeights:
    """Weight of each loss; 0 leaves it out.

    **Source:** eq. 10, 12 and 14 of the paper, which gives no numbers; the authors' settings are for other
    units (docs/identity.md).

    Attributes:
        landmark: px of the crop, eq. 11.
        truth: mean squared distance (mm^2) to the neutral face, where that is known.
        pixel: Laplace loss of the luma, eq. 13.
        identity: margin softmax of the direction.
        centre: ratio of the spread within people to that between them, eq. 7, on scale times direction.
        kl: batch statistics of the scale.
        shape: squared identity coefficients, eq. 15.
        expression: squared activations in standard deviations from the mean face's.
        albedo: squared albedo coefficients.
        smooth: mm, eq. 17.
        symmetry: mm, eq. 18.
        residual: mm, eq. 19.
        orthonormal: squared entries of the changed basis' products less the unit matrix.
        basis: squared change of the basis.
    """

    landmark: float = 10.0
    truth: float = 1.0
    pixel: float = 1.0
    identity: float = 2.0
    centre: float = 4.0
    kl: float = 0.1
    shape: float = 0.1
    expression: float = 0.1
    albedo: float = 0.05
    smooth: float = 1.0
    symmetry: float = 0.05
    residual: float = 0.02
    orthonormal: float = 1.0
    basis: float = 0.1

    def __post_init__(self) -> None:
        check_range(self, 0, math.inf, *(one.name for one in fields(self)))


def point_loss(points: Float[Tensor, "B L 2"], targets: Float[Tensor, "B L 2"]) -> Float[Tensor, " B"]:
    """Mean distance of landmarks of each photo, in the points' unit.

    **Source:** eq. 11: the Euclidean length of its formula; its text says L1.
    """
    return (((points - targets).square().sum(-1) + TINY).sqrt() - TINY**0.5).mean(1)


def reliability(rotation: Float[Tensor, "B 3 3"], expression: Float[Tensor, "B E"]) -> Float[Tensor, " B"]:
    """How much a photo says about the middle of its person: 1 for a frontal face at rest, without gradient.

    The product of the cosines of yaw, pitch and roll and of exp(-|expression| / 3).

    Args:
        rotation: camera_from_head.
        expression: activations.

    **Source:** the authors' earlier code (SIR), which has a mean of such terms, too.
    """
    with torch.no_grad():
        turned = rotation @ torch.diag(rotation.new_tensor([1.0, -1.0, -1.0]))  # the unit matrix if frontal
        yaw = torch.atan2(turned[:, 0, 2], turned[:, 2, 2])
        pitch = torch.asin(turned[:, 1, 2].clamp(-1, 1))
        roll = torch.atan2(turned[:, 1, 0], turned[:, 1, 1])
        cosines = torch.stack([yaw, pitch, roll]).cos()
        return cosines.clamp_min(0).prod(0) * torch.exp(-expression.norm(dim=1) / 3)


def scale_kl(scale: Float[Tensor, " B"], mean: float, std: float) -> Float[Tensor, ""]:
    """Divergence of the batch's scales from a normal distribution, by their mean and variance.

    0 if and only if both are those of the distribution.
    """
    z = (scale - mean) / std
    middle, variance = z.mean(), z.var(correction=0)
    return -0.5 * (1 + torch.log(variance + 1e-8) - variance - middle.square())


def orthonormality(mixing: Float[Tensor, "D D"]) -> Float[Tensor, ""]:
    """Squared entries of A A^T - I, summed, for A changed to (I + mixing) A."""
    unit = torch.eye(len(mixing), dtype=mixing.dtype, device=mixing.device)
    return orthonormality_loss((unit + mixing).mT)


def expression_cost(model: FaceModel, expression: Float[Tensor, "B E"]) -> Float[Tensor, " B"]:
    """Mean squared activation in standard deviations from the mean face's, eq. 15."""
    prior = model.expression_prior
    return ((expression - prior.mean) / prior.std.clamp_min(LEAST_STD)).square().mean(1)


@dataclass(frozen=True)
class MeshTerms:
    """Regularisers of neutral meshes, over the model's region.

    Attributes:
        basis: A over the region, and what its Laplacian makes of it.
        smooth: likewise, less the mean of the neighbours.
        odd: likewise, less the mirrored.
        rest: the mean head's own Laplacian and asymmetry, in that order.
        vertices: of the region.
    """

    basis: Float[Tensor, "D V 3"]
    smooth: Float[Tensor, "D V 3"]
    odd: Float[Tensor, "D V 3"]
    rest: Float[Tensor, "2 V 3"]
    vertices: int

    @classmethod
    def of(cls, sphere: SphereModel, step: int = 4) -> "MeshTerms":
        """Of every ``step``-th vertex of the region: the terms are linear in the code, so rows suffice."""
        model, rows = sphere.face_model, torch.nonzero(sphere.region)[:, 0][::step]
        shapes = torch.cat([sphere.basis, model.mean[None]])
        laplacian = uniform_laplacian(model.topology.faces, len(model.mean)).to(shapes.dtype)
        degree = torch.zeros(len(model.mean), dtype=shapes.dtype, device=shapes.device)
        index, values = laplacian.indices(), laplacian.values()
        same = index[0] == index[1]
        degree[index[0][same]] = values[same]
        flat = shapes.permute(1, 0, 2).flatten(1)
        bent = (laplacian @ flat / degree.clamp_min(1)[:, None]).unflatten(1, (-1, 3)).permute(1, 0, 2)
        odd = shapes - mirrored(shapes, model.mirror)
        bent, odd = bent[:, rows], odd[:, rows]
        return cls(
            shapes[:-1, rows], bent[:-1], odd[:-1], torch.stack([bent[-1], odd[-1]]), int(sphere.region.sum())
        )

    def costs(self, codes: Float[Tensor, "B D"]) -> dict[str, Float[Tensor, ""]]:
        """Smoothness, symmetry and residual, mm, of meshes with these codes, eq. 17, 18 and 19."""

        def of(basis: Tensor) -> Tensor:
            return (codes @ basis.flatten(1)).unflatten(1, (-1, 3))

        bent = of(self.smooth) + self.rest[0]
        return {
            "smooth": (bent.square().sum(-1) + TINY).sqrt().mean(),
            "symmetry": (of(self.odd) + self.rest[1]).abs().mean(),
            "residual": of(self.basis).abs().mean(),
        }


def mirrored(meshes: Float[Tensor, "B V 3"], mirror: Int64[Tensor, " V"]) -> Float[Tensor, "B V 3"]:
    """Meshes as a looking glass shows them, in their own order of vertices."""
    return meshes[:, mirror] * meshes.new_tensor([-1.0, 1.0, 1.0])


def mean_of(values: Float[Tensor, " B"], rows: Bool[Tensor, " B"]) -> Float[Tensor, ""]:
    """Mean over some rows, 0 if there are none: the switch of losses by label."""
    return (values * rows).sum() / rows.sum().clamp_min(1)
