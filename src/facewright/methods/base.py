"""What every method of reconstruction gives, so that textures, files and relighting follow any of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int64
from torch import Tensor

from facewright.fitting.records import FaceFit


@dataclass(frozen=True)
class MethodResult:
    """Heads that a method found, one row a face.

    Attributes:
        fit: the heads in the same record as a fit to landmarks; ``fit.select(i)`` gives one of them with its
            photo's size. ``parameters`` holds identity, expression, diffuse and specular coefficients, pose,
            camera, soft light and (if the method knows of one) a point light, of which a head without one
            has an intensity of 0.
        shininess: Blinn-Phong exponents; None if the method measures none (then ``SKIN_SHININESS`` holds).
    """

    fit: FaceFit
    shininess: Float[Tensor, " B"] | None = None


@runtime_checkable
class Method(Protocol):
    """A loaded method: weights and model are read once, faces are many."""

    @property
    def name(self) -> str:
        """As users write it, such as "specular"."""
        ...

    def reconstruct(
        self,
        photos: Sequence[Float[Tensor, "3 _ _"]],
        landmarks: Float[Tensor, "B 478 2"],
        *,
        focal: Float[Tensor, " B"] | None = None,
        groups: Int64[Tensor, " B"] | None = None,
    ) -> MethodResult:
        """Heads of faces whose landmarks were found.

        Args:
            photos: sRGB in [0, 1], one for each face.
            landmarks: the 478 points, pixels of their photo.
            focal: focal lengths in pixels, NaN where a photo does not tell.
            groups: photos of one number show one person, who gets one identity and albedo; None: all differ.

        Raises:
            InputError: photos and landmarks do not belong together.
            HiddenFaceError: too little of a face lies in its photo for this method.
        """
        ...


@runtime_checkable
class IdentityMethod(Protocol):
    """A method that tells who a photo shows without making the whole head."""

    def identities(
        self,
        photos: Sequence[Float[Tensor, "3 _ _"]],
        landmarks: Float[Tensor, "B 478 2"],
        groups: Int64[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B K"]:
        """Identity coefficients, as ``Method.reconstruct`` has them.

        Args:
            photos: sRGB in [0, 1], one for each face.
            landmarks: the 478 points, pixels of their photo.
            groups: photos of one number show one person.
        """
        ...
