"""One rasteriser, several implementations that must agree.

``reference`` is the specification (readable, float64, slow), ``cpu`` runs numba kernels, ``portable`` is
plain torch for any device. All compute edge functions in float64 by the same operations in the same order,
so the triangle of every pixel is the same in all of them.
"""

from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from facewright.core.errors import InputError
from facewright.geometry.adjacency import EdgeTable
from facewright.render.fragments import Fragments

BackendName = Literal["auto", "reference", "cpu", "portable"]


@runtime_checkable
class Backend(Protocol):
    """The kernels behind the primitives; shapes as in the facades, nothing here is differentiable."""

    def rasterize(
        self, pixels: Tensor, faces: Tensor, size: tuple[int, int], perspective: bool, cull_back_faces: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Triangle, barycentric weights and depth of every pixel."""
        ...

    def rasterize_backward(
        self,
        pixels: Tensor,
        faces: Tensor,
        triangle: Tensor,
        perspective: bool,
        grad_barycentric: Tensor | None,
        grad_depth: Tensor | None,
    ) -> Tensor:
        """Gradient of ``pixels`` from those of the weights and the depth."""
        ...

    def interpolate(
        self, attributes: Tensor, corners: Tensor, triangle: Tensor, barycentric: Tensor
    ) -> Tensor:
        """Attributes blended at every pixel."""
        ...

    def interpolate_backward(
        self,
        attributes: Tensor,
        corners: Tensor,
        triangle: Tensor,
        barycentric: Tensor,
        grad: Tensor,
        wanted: tuple[bool, bool],
    ) -> tuple[Tensor | None, Tensor | None]:
        """Gradients of the attributes and of the weights, None where not wanted."""
        ...

    def find_crossings(self, pixels: Tensor, faces: Tensor, edges: EdgeTable, fragments: Fragments) -> Tensor:
        """Where visible silhouette edges pass between two pixel centres.

        Returns:
            int64 rows of (image, row of ``edges``, x and y of the inner pixel, step in x and y to the outer
            one), in a fixed order; at most one row for a pair of pixels.
        """
        ...


def select_backend(name: BackendName, device: torch.device) -> Backend:
    """Return the kernels for a device; the choice is fixed by name and device, never by what happens to work.

    Args:
        name: "auto" is ``cpu`` (numba) for CPU tensors and ``portable`` (torch) for all others.
        device: where the tensors are.

    Raises:
        InputError: the backend cannot read tensors of that device.
    """
    if name == "auto":
        name = "cpu" if device.type == "cpu" else "portable"
    if name == "portable":
        from facewright.render.backends import portable

        return portable
    if device.type != "cpu":
        raise InputError(f"backend {name!r} reads CPU tensors only, got {device}: use 'auto' or 'portable'.")
    if name == "reference":
        from facewright.render.backends import reference

        return reference
    from facewright.render.backends import cpu

    return cpu
