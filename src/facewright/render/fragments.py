"""What the rasteriser leaves at each pixel; every later stage reads this record."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Fragments:
    """The nearest triangle at each pixel centre.

    Attributes:
        triangle: row of ``faces`` that is seen; -1 where the pixel is empty.
        barycentric: perspective-correct weights of that triangle's corners, each in [0, 1], sum 1; 0 where
            empty. Carries the gradient to the vertex positions.
        depth: mm along the camera's +Z; 0 where empty. Carries a gradient too.
        perspective: whether weights and depth are those of a perspective camera.
        cull_back_faces: whether triangles seen from behind were left out.
    """

    triangle: Int[Tensor, "B H W"]
    barycentric: Float[Tensor, "B H W 3"]
    depth: Float[Tensor, "B H W"]
    perspective: bool
    cull_back_faces: bool

    @property
    def covered(self) -> Bool[Tensor, "B H W"]:
        """True where a triangle is seen."""
        return self.triangle >= 0

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.triangle.shape[1], self.triangle.shape[2]
