"""How likely a pixel's colour is that of skin: naive Bayes with two mixtures of Gaussians."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.core.assets import asset_path, read_safetensors, write_safetensors
from facewright.core.errors import AssetError

FILE = "skin.safetensors"
FORMAT = "facewright-skin-1"
MAX_COMPONENTS = 64
# Y, Cb, Cr of sRGB in [0, 1]. Source: ITU-R BT.601, 8 bits, with footroom.
_YCBCR = ((65.481, 128.553, 24.966), (-37.797, -74.203, 112.0), (112.0, -93.786, -18.214))
_OFFSET = (16.0, 128.0, 128.0)


@dataclass(frozen=True)
class GaussianMixture:
    """Gaussians with full covariances.

    Attributes:
        weights: positive, sum 1.
        means: of each component.
        covariances: of each component.
    """

    weights: Float[Tensor, " K"]
    means: Float[Tensor, "K 3"]
    covariances: Float[Tensor, "K 3 3"]

    def log_density(self, values: Float[Tensor, "*N 3"]) -> Float[Tensor, "*N"]:
        """Logarithm of the density at some values."""
        factor = torch.linalg.cholesky(self.covariances)
        away = values[..., None, :] - self.means
        # A 3x3 triangular solve written out: millions of pixels go through it.
        a = away[..., 0] / factor[:, 0, 0]
        b = (away[..., 1] - factor[:, 1, 0] * a) / factor[:, 1, 1]
        c = (away[..., 2] - factor[:, 2, 0] * a - factor[:, 2, 1] * b) / factor[:, 2, 2]
        half_determinant = factor.diagonal(dim1=1, dim2=2).log().sum(1)
        scale = self.weights.log() - half_determinant - 1.5 * math.log(2 * math.pi)
        return (scale - 0.5 * (a * a + b * b + c * c)).logsumexp(-1)


@dataclass(frozen=True)
class SkinModel:
    """Colours of skin and of everything else.

    **Source:** Deng et al., "Accurate 3D Face Reconstruction with Weakly-Supervised Learning", 2019.
    **Differs:** the mixtures are fitted to our own labelled pixels (``scripts/fit_skin_model.py``).

    Attributes:
        skin: in Y, Cb, Cr.
        other: likewise.
        prior: probability of skin before its colour is seen.
    """

    skin: GaussianMixture
    other: GaussianMixture
    prior: float = 0.8

    @classmethod
    def load(cls, device: torch.device | str = "cpu", path: Path | None = None) -> "SkinModel":
        """Load the shipped model, or that of a file.

        Raises:
            AssetError: the file is missing, damaged or of another version.
        """
        source = path or asset_path(FILE)
        tensors, header = read_safetensors(source)
        try:
            if header.get("format") != FORMAT:
                raise ValueError(f"format {header.get('format', 'unknown')}")
            skin, other = (_mixture(tensors, name) for name in ("skin", "other"))
            prior = float(header["prior"])
            if not 0 < prior < 1:
                raise ValueError(f"prior {prior}")
        except (LookupError, ValueError, RuntimeError) as error:
            raise AssetError(
                f"{source}: expected a skin model in format {FORMAT}, found {str(error).splitlines()[0]}: "
                "use the file that belongs to this version of facewright."
            ) from error
        return cls(skin, other, prior).to(device)

    def save(self, path: Path, notes: dict[str, str]) -> None:
        """Write the model.

        Raises:
            OutputError: the file cannot be written.
        """
        tensors = {
            f"{name}.{key}": value.float()
            for name, mixture in (("skin", self.skin), ("other", self.other))
            for key, value in vars(mixture).items()
        }
        write_safetensors(path, tensors, {**notes, "format": FORMAT, "prior": repr(self.prior)})

    def to(self, device: torch.device | str) -> "SkinModel":
        """Return the same model on another device."""
        skin, other = (
            GaussianMixture(m.weights.to(device), m.means.to(device), m.covariances.to(device))
            for m in (self.skin, self.other)
        )
        return SkinModel(skin, other, self.prior)

    def probability(self, photos: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B H W"]:
        """Probability of skin at each pixel; says nothing of a grey photo (``image.color.lacks_color``).

        Args:
            photos: sRGB in [0, 1].
        """
        values = ycbcr(photos).permute(0, 2, 3, 1)
        odds = math.log(self.prior / (1 - self.prior))
        return torch.sigmoid(self.skin.log_density(values) - self.other.log_density(values) + odds)


def ycbcr(photos: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
    """Y (16 to 235), Cb and Cr (16 to 240) of sRGB in [0, 1].

    **Source:** ITU-R BT.601.
    """
    matrix, offset = photos.new_tensor(_YCBCR), photos.new_tensor(_OFFSET)
    return torch.einsum("kc,bchw->bkhw", matrix, photos) + offset[:, None, None]


def _mixture(tensors: dict[str, Tensor], name: str) -> GaussianMixture:
    weights, means, covariances = (tensors[f"{name}.{key}"] for key in ("weights", "means", "covariances"))
    count = weights.numel()
    shapes = [tuple(tensor.shape) for tensor in (weights, means, covariances)]
    if not 0 < count <= MAX_COMPONENTS or shapes != [(count,), (count, 3), (count, 3, 3)]:
        raise ValueError(f"shapes {shapes}")
    if not all(tensor.isfinite().all() for tensor in (weights, means, covariances)) or (weights <= 0).any():
        raise ValueError("numbers that are no mixture")
    if not torch.allclose(covariances, covariances.mT) or (torch.linalg.eigvalsh(covariances) <= 0).any():
        raise ValueError("matrices that are no covariances")
    return GaussianMixture(weights.float(), means.float(), covariances.float())
