"""What a surface does with light: diffuse albedo per vertex or as a map, and a specular lobe."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

SKIN_SHININESS = 20.0  # Blinn-Phong exponent of skin, where none is measured
EYE_SHININESS = 250.0  # of the wet eye: a small, bright catchlight


@dataclass(frozen=True)
class Material:
    """Reflectance in linear RGB. Where both are given, the map multiplies the vertex albedo.

    Attributes:
        albedo: diffuse albedo per vertex, per image or one row for the batch; white if None.
        albedo_map: diffuse albedo map (row 0 is v = 1), per image or one row for the batch.
        specular: specular intensity per vertex in [0, 1]; needs a point light to be seen.
        shininess: Blinn-Phong exponent, of all images or one an image.
    """

    albedo: Float[Tensor, "N V 3"] | None = None
    albedo_map: Float[Tensor, "M H W 3"] | None = None
    specular: Float[Tensor, "P V"] | None = None
    shininess: float | int | Float[Tensor, " B"] = SKIN_SHININESS
