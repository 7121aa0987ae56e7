"""The span of the largest variation of scans, in which stage 1 is computed.

A mesh is a point of some 15,000 numbers, but the scans of a set hardly leave a few hundred directions. In an
orthonormal basis of these every reconstruction error is the error inside plus a constant of the scan, so
losses and errors are exact, and a step costs no more for a denser mesh (docs/adr/0007).
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from facewright.core.errors import InputError
from facewright.core.row_file import rows_digest
from facewright.methods.sphere.stack import ScanStack


@dataclass(frozen=True)
class ScanSpace:
    """Orthonormal directions of scans, most varying first.

    Attributes:
        mean: mean scan, mm.
        axes: directions, one a column.
    """

    mean: Float[ndarray, " C3"]
    axes: Float[ndarray, "C3 R"]

    @property
    def rank(self) -> int:
        """How many directions there are."""
        return self.axes.shape[1]

    @property
    def vertex_count(self) -> int:
        """Of a scan."""
        return len(self.mean) // 3


@dataclass(frozen=True)
class SpaceScans:
    """Scans in a space.

    Attributes:
        coordinates: along the axes, mm times root of vertices.
        rest: squared length of what lies outside, mm^2.
        vertex_count: of a scan.
        digest: of the scans as they are stored; coordinates differ by rounding where threads do.
    """

    coordinates: Float[Tensor, "N R"]
    rest: Float[Tensor, " N"]
    vertex_count: int
    digest: str

    def errors(self, reconstructed: Float[Tensor, "N R"]) -> Float[Tensor, " N"]:
        """Root mean square distance (mm) of the vertices of each scan to its reconstruction."""
        inside = (self.coordinates - reconstructed).double().square().sum(1)
        return ((inside + self.rest) / self.vertex_count).sqrt().float()

    def rmse(self, reconstructed: Float[Tensor, "N R"]) -> float:
        """Root mean square distance (mm) over the vertices of all scans, of which PCA has the least."""
        return float(self.errors(reconstructed).double().square().mean().sqrt())


def scan_space(stack: ScanStack, rank: int, seed: int = 0, rounds: int = 2) -> ScanSpace:
    """The principal directions of a stack, read block by block.

    Args:
        stack: the scans.
        rank: how many directions; with as many as scans nothing is left outside.
        seed: of the scans that the search starts from.
        rounds: of improvement; each reads all scans once.

    Raises:
        InputError: fewer than two scans, or fewer directions than one.

    **Source:** Halko, Martinsson & Tropp 2011, subspace iteration; it starts from scans instead of noise, so
    that with a rank of all scans the first span is the whole one.
    """
    if len(stack.scans) < 2 or rank < 1:
        raise InputError(f"expected two scans and one direction at least, got {len(stack.scans)} and {rank}.")
    mean = np.zeros(stack.scans.shape[1])
    for _, block in stack.blocks():
        mean += block.sum(0, dtype=np.float64)
    mean = (mean / len(stack.scans)).astype(np.float32)
    rank = min(rank, len(stack.scans) - 1, stack.scans.shape[1])
    picked = np.sort(np.random.default_rng(seed).permutation(len(stack.scans))[: rank + 1])
    axes = _orthonormal((np.asarray(stack.scans[picked]) - mean).T)
    for _ in range(rounds):
        moved = np.zeros_like(axes)
        for _, block in stack.blocks():
            centred = block - mean
            moved += centred.T @ (centred @ axes)
        axes = _orthonormal(moved)
    gram = np.zeros((axes.shape[1], axes.shape[1]))
    for _, block in stack.blocks():
        inside = ((block - mean) @ axes).astype(np.float64)
        gram += inside.T @ inside
    vectors = np.linalg.eigh(gram)[1][:, ::-1]
    axes = axes @ vectors[:, :rank].astype(np.float32)
    # A sign is arbitrary; the largest movement is made positive, so that a rebuild gives the same axes.
    largest = np.abs(axes).argmax(axis=0)
    axes *= np.sign(axes[largest, np.arange(axes.shape[1])])
    return ScanSpace(mean, np.ascontiguousarray(axes))


def in_space(space: ScanSpace, stack: ScanStack) -> SpaceScans:
    """Coordinates of all scans of a stack, which may be another than the space was made of.

    Raises:
        InputError: the scans are in another topology.
    """
    if stack.scans.shape[1] != len(space.mean):
        raise InputError(
            f"expected scans of {space.vertex_count} vertices, got {stack.scans.shape[1] // 3}: all scans "
            "must be in one topology."
        )
    coordinates = np.empty((len(stack.scans), space.rank), dtype=np.float32)
    rest = np.empty(len(stack.scans))
    for rows, block in stack.blocks():
        centred = block - space.mean
        coordinates[rows] = inside = centred @ space.axes
        rest[rows] = ((centred - inside @ space.axes.T).astype(np.float64) ** 2).sum(1)
    digest = rows_digest(stack.scans)
    return SpaceScans(torch.from_numpy(coordinates), torch.from_numpy(rest), space.vertex_count, digest)


def _orthonormal(columns: ndarray) -> ndarray:
    # Twice: float32 loses what a first turn leaves of nearly parallel columns.
    for _ in range(2):
        columns = torch.linalg.qr(torch.from_numpy(np.ascontiguousarray(columns)))[0].numpy()
    return columns
