"""Meshes of what is not the head: a few kinds, whose triangles are the same in all pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray


@dataclass(frozen=True)
class Prop:
    """One thing in the head frame, mm.

    Attributes:
        vertices: mm; a vertex that is not finite takes its triangles away.
        albedo: linear RGB.
        specular: specular intensity.
        strand: where on the strands of the hair each vertex lies (across, along); -1 where there are none.
    """

    vertices: Float[ndarray, "N 3"]
    albedo: Float[ndarray, "N 3"]
    specular: Float[ndarray, " N"]
    strand: Float[ndarray, "N 2"]


def plain_prop(vertices: Float[ndarray, "N 3"], color: Float[ndarray, " 3"], specular: float) -> Prop:
    """A thing of one colour without strands."""
    count = len(vertices)
    return Prop(vertices, np.tile(color, (count, 1)), np.full(count, specular), np.full((count, 2), -1.0))


def absent_prop(count: int) -> Prop:
    """A thing of some vertices that is not there."""
    return plain_prop(np.full((count, 3), np.nan), np.zeros(3), 0.0)


def joined(props: Sequence[Prop]) -> Prop:
    """Several things as one, in their order."""
    return Prop(
        *(np.concatenate([getattr(p, name) for p in props]) for name in ("vertices", "albedo")),
        specular=np.concatenate([p.specular for p in props]),
        strand=np.concatenate([p.strand for p in props]),
    )


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


def tube(path: Float[ndarray, "M 3"], radius: float | Float[ndarray, " M"], sides: int) -> ndarray:
    """Vertices (M * sides, 3) around a path; for ``grid_faces(M, sides, around=True)``."""
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    other = np.where(np.abs(along[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[0.0, 1.0, 0.0]])
    first = np.cross(along, other)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(along, first)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    around = np.cos(angle)[None, :, None] * first[:, None] + np.sin(angle)[None, :, None] * second[:, None]
    size = np.broadcast_to(radius, len(path))[:, None, None]
    return (path[:, None] + size * around).reshape(-1, 3)


def closed_tube(path: Float[ndarray, "M 3"], radius: float, sides: int) -> ndarray:
    """Vertices of a tube around a closed path, whose first point comes again at the end."""
    extended = np.concatenate([path[-1:], path, path[:2]])
    return tube(extended, radius, sides).reshape(len(extended), sides, 3)[1:-1].reshape(-1, 3)


def capsule(start: ndarray, end: ndarray, radii: tuple[float, float], rings: int, sides: int) -> ndarray:
    """Vertices of a rounded rod of two radii, for ``grid_faces(rings, sides, around=True)``."""
    axis = (end - start) / np.linalg.norm(end - start)
    polar = np.linspace(0.02, np.pi - 0.02, rings)
    share = (1 - np.cos(polar)) / 2
    radius = radii[0] + (radii[1] - radii[0]) * share
    place = start + (end - start) * np.where(share < 0.5, 0.0, 1.0)[:, None]
    path = place - (np.cos(polar) * radius)[:, None] * axis
    straight = start + np.linspace(0, 1, rings)[:, None] * (end - start)
    ring = tube(straight, 1.0, sides).reshape(rings, sides, 3) - straight[:, None]
    return (path[:, None] + (np.sin(polar) * radius)[:, None, None] * ring).reshape(-1, 3)
