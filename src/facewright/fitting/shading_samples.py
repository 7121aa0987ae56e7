"""Points of a face's skin that a photo shows, and what their brightness may differ by besides the shape.

Light and albedo are not known, and what they leave (shadows, hair, blemishes, what the model's light cannot
do) is alike in neighbouring pixels. All three are unknowns of small prior variance: they are eliminated from
the energy (Schur complement), so only shading that none of them explains moves the shape.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.fitting.appearance import LightPrior, tukey_weight
from facewright.fitting.face_crop import FaceCrops
from facewright.fitting.skin import seen_skin, skin_mask
from facewright.geometry.spread import spread_points
from facewright.image.color import luminance
from facewright.models.face_model import FaceModel
from facewright.scene.lighting import SH_CONSTANTS, SphericalHarmonicsLight, sh_basis
from facewright.scene.parameters import HeadParameters

DARK = 0.02  # linear; brightness is relative to the face's, and this much is added for very dark photos
# A sample whose residual is more than this many median residuals is no skin: hair, glasses, a cast shadow.
CUT = 3.0
LEAST_ERROR = 0.03  # relative error below which all samples are believed alike
FIRST_ERROR = 0.1  # taken for the typical relative error until it is known
PATCHES = 60


@dataclass(frozen=True)
class SurfaceSamples:
    """Points of one head that show skin in one photo.

    Attributes:
        corners: vertices of the triangle around each.
        barycentric: weights of the corners.
        albedo: linear RGB over the face's typical brightness.
        typical: that brightness.
        share: trust in each; sums to 1.
        patches: how brightness follows each patch of the face that may be off (see ``patch_weights``).
    """

    corners: Int64[Tensor, "P 3"]
    barycentric: Float[Tensor, "P 3"]
    albedo: Float[Tensor, "P 3"]
    typical: Float[Tensor, ""]
    share: Float[Tensor, " P"]
    patches: Float[Tensor, "P N"]


@dataclass(frozen=True)
class Appearance:
    """Everything about light and albedo that stays the same while the shape moves.

    Attributes:
        light: of each photo.
        diffuse: albedo coefficients.
        albedo: of the vertices.
        prior: of the light, which then may change, and so may the albedo; None: both are known.
        patches: weight of each vertex in each patch.
        patch_std: relative error of a patch.
    """

    light: Float[Tensor, "B 9 3"]
    diffuse: Float[Tensor, "B K"]
    albedo: Float[Tensor, "B V 3"]
    prior: LightPrior | None
    patches: Float[Tensor, "V N"]
    patch_std: float


@dataclass(frozen=True)
class Freedom:
    """Weights of a photo's residuals, and what may change besides the shape.

    Attributes:
        weight: of each residual.
        jacobian: of the residuals by light, albedo and patches.
        lower: Cholesky factor of its curvature, prior included.
        descent: of the prior.
    """

    weight: Float[Tensor, " P"]
    jacobian: Float[Tensor, "P N"]
    lower: Float[Tensor, "N N"]
    descent: Float[Tensor, " N"]

    def cost(self, residual: Float[Tensor, " P"]) -> Float[Tensor, ""]:
        """Energy where the rest fits best, less the prior's constant."""
        half = self._half(residual)
        return (self.weight * residual**2).sum() - (half**2).sum()

    def explained(self, residual: Float[Tensor, " P"]) -> Float[Tensor, " P"]:
        """Residuals that are left where the rest fits best."""
        found = torch.linalg.solve_triangular(self.lower.mT, self._half(residual)[:, None], upper=True)
        return residual + self.jacobian @ found[:, 0]

    def normal_equations(
        self, jacobian: Float[Tensor, "P D"], residual: Float[Tensor, " P"]
    ) -> tuple[Float[Tensor, "D D"], Float[Tensor, " D"]]:
        """Curvature and descent of the energy by what the given Jacobian belongs to, the rest eliminated."""
        weighted = jacobian * self.weight[:, None]
        curvature, descent = weighted.mT @ jacobian, -(weighted.mT @ residual)
        half = torch.linalg.solve_triangular(self.lower, self.jacobian.mT @ weighted, upper=False)
        return curvature - half.mT @ half, descent - half.mT @ self._half(residual)

    def _half(self, residual: Tensor) -> Tensor:
        right = self.descent - self.jacobian.mT @ (self.weight * residual)
        return torch.linalg.solve_triangular(self.lower, right[:, None], upper=False)[:, 0]


@dataclass(frozen=True)
class PhotoTrust:
    """How much shading is believed.

    Attributes:
        pixels: how many independent pixels a photo is worth.
        error: relative error that shape explains; a photo with larger ones tells less.
    """

    pixels: float
    error: float


def patch_weights(model: FaceModel, count: int = PATCHES) -> Float[Tensor, "V N"]:
    """Overlapping smooth patches of the face, evenly spread; a vertex' squared weights sum up to 1."""
    skin = skin_mask(model).nonzero()[:, 0]
    seeds, distance = spread_points(model.mean[skin], count, first=0)
    reach = distance.max()  # no skin is further from a seed
    weights = torch.exp(-0.5 * (torch.cdist(model.mean, model.mean[skin[seeds]]) / reach) ** 2)
    return weights / weights.norm(dim=1, keepdim=True).clamp_min(1e-9)


def surface_samples(
    model: FaceModel, crops: FaceCrops, appearance: Appearance, parameters: HeadParameters
) -> list[SurfaceSamples]:
    """What each pixel of the crops shows, with trust by how it faces the camera."""
    skin = seen_skin(model, crops, parameters)
    fragments, weight, samples = skin.fragments, skin.weight, []
    place = torch.arange(weight.shape[1], device=weight.device)
    chequer = (place[:, None] + place) % 2  # neighbours say nearly the same
    for row, trust in enumerate(weight):
        seen = (trust > 0.1) & (chequer == 0)
        corners = model.topology.faces[fragments.triangle[row][seen].long()]
        barycentric, share = fragments.barycentric[row][seen], trust[seen]
        color = crops.images[row][seen]
        typical = luminance(color).median() + DARK if len(color) else color.new_tensor(1.0)
        albedo = (appearance.albedo[row][corners] * barycentric[..., None]).sum(1) / typical
        patches = (appearance.patches[corners] * barycentric[..., None]).sum(1)
        share = share / share.sum().clamp_min(1e-9)
        samples.append(SurfaceSamples(corners, barycentric, albedo, typical, share, patches))
    return samples


def freedom(
    model: FaceModel,
    appearance: Appearance,
    row: int,
    samples: SurfaceSamples,
    normal: Float[Tensor, "P 3"],
    residual: Float[Tensor, " P"],
    trust: PhotoTrust,
) -> Freedom:
    """Weigh the residuals of a photo by how well they are explained.

    Args:
        model: face model.
        appearance: of the photos.
        row: of the photo.
        samples: of the photo.
        normal: of the samples, camera frame.
        residual: of the samples.
        trust: in the photo.
    """
    jacobian = _jacobian(model, appearance, row, samples, normal)
    rough = _freedom(appearance, row, jacobian, samples.share * (trust.pixels / FIRST_ERROR**2))
    if len(residual) == 0:
        return rough
    squared = rough.explained(residual) ** 2
    scale = squared.median().clamp_min(LEAST_ERROR**2)
    tukey = tukey_weight(squared, CUT**2 * scale)
    return _freedom(
        appearance,
        row,
        jacobian,
        samples.share * tukey * (trust.pixels / scale * (trust.error**2 / scale).clamp(max=1)),
    )


def _freedom(appearance: Appearance, row: int, jacobian: Tensor, weight: Tensor) -> Freedom:
    light, diffuse = appearance.light[row], appearance.diffuse[row]
    strength = jacobian.new_full((jacobian.shape[1],), appearance.patch_std**-2)
    descent = torch.zeros_like(strength)
    if appearance.prior is not None:
        prior, last = appearance.prior, 9 + len(diffuse)
        std = [prior.level_std / SH_CONSTANTS[0], *[prior.band_std[1]] * 3, *[prior.band_std[2]] * 5]
        strength[:9], strength[9:last] = light.new_tensor(std) ** -2, 1.0
        centre = torch.zeros_like(strength[:last])
        centre[0] = prior.level / SH_CONSTANTS[0]
        descent[:last] = strength[:last] * (centre - torch.cat([light.mean(1), diffuse]))
    curvature = (jacobian * weight[:, None]).mT @ jacobian + torch.diag(strength)
    return Freedom(weight, jacobian, torch.linalg.cholesky(curvature), descent)


def _jacobian(
    model: FaceModel, appearance: Appearance, row: int, samples: SurfaceSamples, normal: Tensor
) -> Float[Tensor, "P N"]:
    """How brightness follows white light, albedo and patches."""
    if appearance.prior is None:
        return samples.patches
    share, light = samples.barycentric[..., None], appearance.light[row]
    lit = SphericalHarmonicsLight(light[None]).shading(normal[None])[0]
    by_light = sh_basis(normal) * luminance(samples.albedo * (lit > 0))[:, None]
    change = (model.diffuse_basis[:, samples.corners] * share).sum(2) / samples.typical
    return torch.cat([by_light, luminance(change * lit).mT, samples.patches], 1)
