"""Light: second-order spherical harmonics and a point light, both in the camera frame, linear light."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

# The nine real spherical harmonics in the order used everywhere in facewright, as (l, m).
SH_ORDER = ((0, 0), (1, -1), (1, 0), (1, 1), (2, -2), (2, -1), (2, 0), (2, 1), (2, 2))
# Their constants. Source: Ramamoorthi & Hanrahan 2001, eq. 3 (real form).
SH_CONSTANTS = (
    0.5 * math.sqrt(1 / math.pi),
    math.sqrt(3 / (4 * math.pi)),
    math.sqrt(3 / (4 * math.pi)),
    math.sqrt(3 / (4 * math.pi)),
    0.5 * math.sqrt(15 / math.pi),
    0.5 * math.sqrt(15 / math.pi),
    0.25 * math.sqrt(5 / math.pi),
    0.5 * math.sqrt(15 / math.pi),
    0.25 * math.sqrt(15 / math.pi),
)


@dataclass(frozen=True)
class SphericalHarmonicsLight:
    """Diffuse light from all around: ``shading(n) = max(0, sum_k coefficients[k] * Y_k(n))``.

    The cosine lobe and 1/pi are folded into the coefficients, so a white constant light is
    ``coefficients[:, 0] = 1 / Y_00`` and reflected colour is ``albedo * shading``.

    Attributes:
        coefficients: per basis function (order ``SH_ORDER``) and linear RGB channel.
    """

    coefficients: Float[Tensor, "B 9 3"]

    def shading(self, normals_camera: Float[Tensor, "B *N 3"]) -> Float[Tensor, "B *N 3"]:
        """Diffuse shading (linear RGB) at unit normals of the camera frame; light is never below 0."""
        basis = sh_basis(normals_camera)
        flat = (basis.flatten(1, -2) @ self.coefficients).clamp_min(0)
        return flat.unflatten(1, normals_camera.shape[1:-1])

    def turned(self, rotation: Float[Tensor, "B 3 3"]) -> "SphericalHarmonicsLight":
        """The same light after everything around the camera frame's origin was turned.

        Exact: harmonics of up to the second order turn into one another.

        Args:
            rotation: proper rotations; what came from direction d comes from ``rotation @ d``.
        """
        directions = spread_directions(32, self.coefficients)
        before = sh_basis(directions @ rotation)  # rows are rotation.T @ direction
        matrix = torch.linalg.pinv(sh_basis(directions)) @ before
        return SphericalHarmonicsLight(matrix @ self.coefficients)

    def to(self, device: torch.device | str) -> "SphericalHarmonicsLight":
        """Return the same lights on another device."""
        return SphericalHarmonicsLight(self.coefficients.to(device))


@dataclass(frozen=True)
class PointLight:
    """A light bulb.

    Attributes:
        position: mm, camera frame.
        intensity: linear RGB arriving at the head's origin (no fall-off inside a head's size).
    """

    position: Float[Tensor, "B 3"]
    intensity: Float[Tensor, "B 3"]

    def to(self, device: torch.device | str) -> "PointLight":
        """Return the same lights on another device."""
        return PointLight(self.position.to(device), self.intensity.to(device))


def sh_basis(normals: Float[Tensor, "*N 3"]) -> Float[Tensor, "*N 9"]:
    """The nine real spherical harmonics of unit vectors, in the order ``SH_ORDER``.

    **Source:** Ramamoorthi & Hanrahan 2001, eq. 3.
    """
    x, y, z = normals.unbind(-1)
    polynomials = (torch.ones_like(x), y, z, x, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y)
    terms = [constant * term for constant, term in zip(SH_CONSTANTS, polynomials, strict=True)]
    return torch.stack(terms, dim=-1)


def spread_directions(count: int, like: Tensor) -> Float[Tensor, "N 3"]:
    """Unit vectors evenly all around, of a tensor's type; 32 tell the nine harmonics apart."""
    number = torch.arange(count, dtype=like.dtype, device=like.device) + 0.5
    z, angle = 1 - 2 * number / count, number * (math.pi * (1 + math.sqrt(5)))
    return torch.stack([(1 - z * z).sqrt() * angle.cos(), (1 - z * z).sqrt() * angle.sin(), z], dim=-1)


def sh_basis_gradient(normals: Float[Tensor, "*N 3"]) -> Float[Tensor, "*N 9 3"]:
    """Derivatives of the polynomials of ``sh_basis`` by x, y and z."""
    x, y, z = normals.unbind(-1)
    o, i = torch.zeros_like(x), torch.ones_like(x)
    polynomials = (
        (o, o, o),
        (o, i, o),
        (o, o, i),
        (i, o, o),
        (y, x, o),
        (o, z, y),
        (o, o, 6 * z),
        (z, o, x),
        (2 * x, -2 * y, o),
    )
    rows = [torch.stack(row, -1) * c for c, row in zip(SH_CONSTANTS, polynomials, strict=True)]
    return torch.stack(rows, dim=-2)


def ambient_light(
    batch: int, level: float = 1.0, *, device: torch.device | str = "cpu"
) -> SphericalHarmonicsLight:
    """White light of the same strength from everywhere."""
    coefficients = torch.zeros(batch, 9, 3, device=device)
    coefficients[:, 0] = level / SH_CONSTANTS[0]
    return SphericalHarmonicsLight(coefficients)


def soft_light(
    batch: int, level: float, *, above: float, front: float, device: torch.device | str = "cpu"
) -> SphericalHarmonicsLight:
    """White light, stronger from above and from the camera's side than from below and behind.

    Args:
        batch: number of lights.
        level: shading of a surface that faces sideways.
        above: what a surface that faces up gets more.
        front: what a surface that faces the camera gets more.
        device: of the lights.
    """
    light = ambient_light(batch, level, device=device)
    light.coefficients[:, 1] = -above / SH_CONSTANTS[1]  # Y_1-1 grows with +Y, which is down
    light.coefficients[:, 2] = -front / SH_CONSTANTS[2]  # Y_10 grows with +Z, away from the camera
    return light
