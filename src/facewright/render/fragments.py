"""What the rasteriser leaves at each pixel; every later stage reads this record."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from facewright.core.errors import InputError


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

    def check(self, triangle_count: int) -> None:
        """Refuse fragments of another mesh, and buffers that do not belong together.

        The kernels look up memory by these numbers: out of range, they would read what is not theirs.

        Raises:
            InputError: a triangle is not below ``triangle_count``, or the buffers differ in shape.
        """
        shape = tuple(self.triangle.shape)
        if tuple(self.barycentric.shape) != (*shape, 3) or tuple(self.depth.shape) != shape:
            raise InputError(
                f"fragments need buffers of one shape: triangle has {shape}, barycentric "
                f"{tuple(self.barycentric.shape)}, depth {tuple(self.depth.shape)}."
            )
        if self.triangle.numel() == 0:
            return
        low, high = (int(bound) for bound in torch.aminmax(self.triangle))
        if low < -1 or high >= triangle_count:
            raise InputError(
                f"fragments must name triangles in [0, {triangle_count}), or -1 for none, got {low} to "
                f"{high}: give the faces that were rasterised."
            )
