"""Meshes of what is not the head: a few kinds, whose triangles are the same in all pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import normalize


@dataclass(frozen=True)
class Prop:
    """One thing on each head of a batch, head frame.

    Attributes:
        vertices: mm.
        albedo: linear RGB.
        specular: specular intensity.
        strand: where on the strands of the hair each vertex lies (across, along); -1 where there are none.
        there: False takes a vertex's triangles away.
    """

    vertices: Float[Tensor, "B N 3"]
    albedo: Float[Tensor, "B N 3"]
    specular: Float[Tensor, "B N"]
    strand: Float[Tensor, "B N 2"]
    there: Bool[Tensor, "B N"]

    def shown(self, which: Bool[Tensor, " B"]) -> "Prop":
        """The same, on some heads only."""
        there = self.there & which[:, None]
        return Prop(self.vertices, self.albedo, self.specular, self.strand, there)


def plain_prop(
    vertices: Float[Tensor, "B N 3"], color: Float[Tensor, "B 3"], specular: float | Float[Tensor, " B"]
) -> Prop:
    """A thing of one colour without strands."""
    shape = vertices.shape[:2]
    gloss = vertices.new_zeros(shape) + (specular[:, None] if isinstance(specular, Tensor) else specular)
    strand = vertices.new_full((*shape, 2), -1.0)
    there = torch.ones_like(gloss, dtype=torch.bool)
    return Prop(vertices, color[:, None].expand(*shape, 3), gloss, strand, there)


def absent_prop(batch: int, count: int, device: torch.device) -> Prop:
    """A thing of some vertices that is on no head."""
    nothing = torch.zeros(batch, count, 3, device=device)
    prop = plain_prop(nothing, nothing.new_zeros(batch, 3), 0.0)
    return prop.shown(torch.zeros(batch, dtype=torch.bool, device=device))


def joined(props: Sequence[Prop]) -> Prop:
    """Several things as one, in their order."""
    names = ("vertices", "albedo", "specular", "strand", "there")
    return Prop(*(torch.cat([getattr(prop, name) for prop in props], 1) for name in names))


def grid_faces(rows: int, columns: int, *, around: bool) -> Int64[ndarray, "F 3"]:
    """Triangles of a grid, vertices row by row; with ``around`` the last column joins the first.

    Counter-clockwise seen from where columns run to the right and rows downwards.
    """
    row, column = np.mgrid[: rows - 1, : columns - (not around)]
    after = (column + 1) % columns
    a, b = row * columns + column, row * columns + after
    c, d = (row + 1) * columns + column, (row + 1) * columns + after
    return np.concatenate(
        [np.stack([a, c, d], -1).reshape(-1, 3), np.stack([a, d, b], -1).reshape(-1, 3)]
    ).astype(np.int64)


def tube(path: Float[Tensor, "B M 3"], radius: float | Float[Tensor, " B"], sides: int) -> Tensor:
    """Vertices (B, M * sides, 3) around paths; for ``grid_faces(M, sides, around=True)``."""
    size = radius.reshape(-1, 1, 1, 1) if isinstance(radius, Tensor) else radius
    return (path[:, :, None] + size * _rings(path, sides)).flatten(1, 2)


def closed_tube(path: Float[Tensor, "B M 3"], radius: Float[Tensor, " B"], sides: int) -> Tensor:
    """Vertices (B, (M + 1) * sides, 3) around closed paths; the first ring comes again at the end."""
    extended = torch.cat([path[:, -1:], path, path[:, :2]], 1)
    return tube(extended, radius, sides)[:, sides:-sides]


def capsule(
    start: Float[Tensor, "B 3"],
    end: Float[Tensor, "B 3"],
    radii: Float[Tensor, "B 2"],
    rings: int,
    sides: int,
) -> Float[Tensor, "B N 3"]:
    """Vertices of rounded rods of two radii, for ``grid_faces(rings, sides, around=True)``."""
    axis = normalize(end - start, dim=-1)
    polar = torch.linspace(0.02, torch.pi - 0.02, rings, device=start.device)
    share = (1 - polar.cos()) / 2
    radius = radii[:, :1] + (radii[:, 1:] - radii[:, :1]) * share
    way = (end - start)[:, None]
    # By number, the middle ring with the start: where it goes is not left to how a cosine is rounded.
    beyond = torch.arange(rings, device=start.device) >= (rings + 1) // 2
    place = start[:, None] + way * beyond.to(start.dtype)[:, None]
    path = place - (polar.cos() * radius)[..., None] * axis[:, None]
    straight = start[:, None] + torch.linspace(0, 1, rings, device=start.device)[:, None] * way
    around = (polar.sin() * radius)[..., None, None] * _rings(straight, sides)
    return (path[:, :, None] + around).flatten(1, 2)


def _rings(path: Tensor, sides: int) -> Tensor:
    """Unit circles (B, M, sides, 3) across paths."""
    inner = (path[:, 2:] - path[:, :-2]) / 2
    along = torch.cat([path[:, 1:2] - path[:, :1], inner, path[:, -1:] - path[:, -2:-1]], 1)
    along = normalize(along, dim=-1)
    steep = along[..., 2:].abs() < 0.9
    other = torch.cat([torch.zeros_like(steep), ~steep, steep], -1).to(path.dtype)
    first = normalize(torch.linalg.cross(along, other), dim=-1)
    second = torch.linalg.cross(along, first)
    angle = torch.arange(sides, device=path.device) * (2 * torch.pi / sides)
    return angle.cos()[:, None] * first[..., None, :] + angle.sin()[:, None] * second[..., None, :]
