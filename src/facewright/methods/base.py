"""What every method of reconstruction gives, so that textures, files and relighting follow any of them."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int64
from torch import Tensor

from facewright.fitting.records import FaceFit


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
    ) -> FaceFit:
        """Heads of faces whose landmarks were found, in the same record as a fit to the landmarks.

        Its ``parameters`` hold point light and exponent if the method knows of them; of a batch of heads
        those without a point light have one of no intensity.

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
