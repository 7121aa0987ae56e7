"""Shapes of the arrays that cross module borders, written once.

Letters: B batch, V vertices, F faces, T texture coordinates, K coefficients, L landmarks, H x W pixels,
N any number of points. Frames and units are in ``docs/conventions.md``.
"""

from jaxtyping import Bool, Float, Int64
from torch import Tensor

Vertices = Float[Tensor, "B V 3"]
Points = Float[Tensor, "B N 3"]
Faces = Int64[Tensor, "F 3"]
Coefficients = Float[Tensor, "B K"]
Photo = Float[Tensor, "3 H W"]
Images = Float[Tensor, "B 3 H W"]
Buffers = Float[Tensor, "B H W C"]
VertexMask = Bool[Tensor, " V"]
