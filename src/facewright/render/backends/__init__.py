"""One rasteriser, several implementations that must agree.

``reference`` is the specification (readable, float64, slow), ``cpu`` runs numba kernels, ``portable`` is
plain torch for any device, ``cuda`` runs Warp kernels (the extra ``gpu``). All compute edge functions in
float64 by the same operations in the same order, so the triangle of every pixel is the same in all of them.
"""

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from facewright.core.errors import InputError, UnavailableError
from facewright.core.log import logger
from facewright.geometry.adjacency import EdgeTable
from facewright.render.fragments import Fragments

BackendName = Literal["auto", "reference", "cpu", "portable", "warp"]


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
    """Return the kernels for a device, fixed by name, device and what is installed.

    Args:
        name: "auto" is ``cpu`` (numba) for CPU tensors, ``warp`` for CUDA tensors where warp-lang is
            installed, and ``portable`` (torch) for all others; which one it took is in the debug log, once,
            and a warning where it is a slow one.
        device: where the tensors are.

    Raises:
        InputError: the backend cannot read tensors of that device.
        UnavailableError: "warp" was asked for and warp-lang is not installed.
    """
    if name == "auto":
        name = automatic_backend(device.type)
    if name == "portable":
        from facewright.render.backends import portable

        return portable
    if name == "warp":
        if not _has_warp():
            raise UnavailableError(
                "the backend 'warp' needs the package warp-lang, which is not installed: "
                "pip install 'facewright[gpu]', or use 'auto'."
            )
        if device.type not in ("cpu", "cuda"):
            raise InputError(f"backend 'warp' reads CPU and CUDA tensors only, got {device}: use 'auto'.")
        from facewright.render.backends import cuda

        return cuda
    if device.type != "cpu":
        raise InputError(f"backend {name!r} reads CPU tensors only, got {device}: use 'auto' or 'portable'.")
    if name == "reference":
        from facewright.render.backends import reference

        return reference
    from facewright.render.backends import cpu

    return cpu


@lru_cache
def automatic_backend(device_type: str) -> BackendName:
    """The backend that "auto" stands for on a type of device, such as "cuda"."""
    name: BackendName = "portable"
    if device_type == "cpu":
        name = "cpu"
    elif device_type == "cuda" and _has_warp():
        name = "warp"
    if device_type == "cuda" and name == "portable":
        logger("render").warning(
            "CUDA without warp-lang is rendered by plain torch, much slower: pip install 'facewright[gpu]'."
        )
    logger("render").debug("tensors on %s are rendered by the backend %r", device_type, name)
    return name


def _has_warp() -> bool:
    try:  # asked by the name of the distribution: another package can be imported as "warp" too
        distribution("warp-lang")
    except PackageNotFoundError:
        return False
    return True
