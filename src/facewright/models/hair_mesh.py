"""The mesh of hair shells: a cap's triangles, halved where they are large, with own texture coordinates."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor

from facewright.geometry.adjacency import edge_table
from facewright.geometry.mesh import Topology
from facewright.geometry.normals import vertex_normals

LONGEST = 4.5  # mm of an edge that is not halved
HALVINGS = 2
MIDDLE = 100.0  # mm below the crown, from where the texture is laid out...
WHORL = np.radians(25.0)  # ... around this place behind the top of the head, from which hair runs down
FREE = 0.01  # of the map's side that stays free around
# Triangles in which 0, 1, 2 or 3 edges are halved, by corners (0 to 2) and middles (3 + i between corners i
# and i + 1); one halved edge is the first, two are the first two.
HALVED = (
    ((0, 1, 2),),
    ((0, 3, 2), (3, 1, 2)),
    ((0, 3, 2), (3, 1, 4), (3, 4, 2)),
    ((0, 3, 5), (3, 1, 4), (5, 4, 2), (3, 4, 5)),
)


@dataclass(frozen=True)
class HairMesh:
    """What the shells of all heads of one model share; its first vertices are those of the cap.

    Attributes:
        parents: rows of the cap whose mean each vertex is.
        skin: the same rows in the model.
        topology: triangles; texture runs from the whorl in the map's middle outward, and has no seams.
    """

    parents: Int64[ndarray, "M 4"]
    skin: Int64[Tensor, "M 4"]
    topology: Topology
    _halved: tuple[Int64[ndarray, "_ 2"], ...]
    _coarse: Int64[Tensor, "f 3"]

    @classmethod
    def of(
        cls, vertex: Int64[ndarray, " N"], faces: Int64[ndarray, "F 3"], points: Float[ndarray, "N 3"]
    ) -> "HairMesh":
        """Halve the long edges of a cap.

        Args:
            vertex: rows of the model.
            faces: triangles, indices into ``vertex``.
            points: of the cap on the mean head without ears, mm.
        """
        parents = np.repeat(np.arange(len(vertex))[:, None], 4, axis=1)
        coarse, halved = torch.from_numpy(faces), []
        for _ in range(HALVINGS):
            places = points[parents].mean(1)
            faces, ends = _halve(faces, places)
            parents = np.concatenate([parents, np.sort(parents[ends][:, :, [0, 2]].reshape(-1, 4), axis=1)])
            halved.append(ends)
        uv = torch.from_numpy(_laid_out(points[parents].mean(1))).float()
        packed = torch.from_numpy(faces)
        topology = Topology(packed, uv, packed)
        return cls(parents, torch.from_numpy(vertex[parents]), topology, tuple(halved), coarse)

    @cached_property
    def count(self) -> int:
        """Vertices."""
        return len(self.parents)

    def spread(self, field: Float[ndarray, "N ..."]) -> Float[ndarray, "M ..."]:
        """A field of the cap's vertices on all vertices."""
        return field[self.parents].mean(1)

    def base(self, vertices: Float[Tensor, "V 3"]) -> Float[Tensor, "M 3"]:
        """The skin of a head (mm, head frame) below each vertex."""
        return vertices[self.skin.to(vertices.device)].mean(1)

    def rounded(self, points: Float[ndarray, "N 3"]) -> Float[ndarray, "M 3"]:
        """Places of all vertices from those of the cap, mm: new ones lie on the round surface through them.

        **Source:** Vlachos et al. 2001, Curved PN Triangles, section 3.1: the middle of an edge, where its
        ends bend it by their normals.
        """
        faces = self._coarse
        normals = vertex_normals(torch.from_numpy(points).float()[None], faces)[0].double().numpy()
        for ends in self._halved:
            (a, b), (n, m) = points[ends].swapaxes(0, 1), normals[ends].swapaxes(0, 1)
            middle = n + m
            middle /= np.linalg.norm(middle, axis=1, keepdims=True).clip(1e-9)
            bulge = ((m - n) * (b - a)).sum(1, keepdims=True) / 8
            points = np.concatenate([points, 0.5 * (a + b) + bulge * middle])
            normals = np.concatenate([normals, middle])
        return points


@dataclass(frozen=True)
class HairShell:
    """A head's hair: how far the vertices of its mesh are off the skin, and where hair is.

    Attributes:
        mesh: of the model.
        offset: mm, head frame, from the head's skin to the shell.
        cover: share (0 to 1) of hair at each vertex.
    """

    mesh: HairMesh
    offset: Float[Tensor, "M 3"]
    cover: Float[Tensor, " M"]

    def on(self, vertices: Float[Tensor, "V 3"]) -> Float[Tensor, "M 3"]:
        """The shell over a head with any expression (mm, head frame)."""
        return self.mesh.base(vertices) + self.offset.to(vertices)


def _halve(
    faces: Int64[ndarray, "F 3"], points: Float[ndarray, "N 3"]
) -> tuple[Int64[ndarray, "f 3"], Int64[ndarray, "H 2"]]:
    """Triangles whose edges above ``LONGEST`` are halved, and the ends of the halved edges."""
    edges = edge_table(torch.from_numpy(faces)).vertices.numpy()
    edges = np.unique(edges, axis=0)
    long = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1) > LONGEST
    ends = edges[long]
    number = np.full(len(edges), -1)
    number[long] = len(points) + np.arange(len(ends))
    key = edges[:, 0] * len(points) + edges[:, 1]
    sides = np.sort(np.stack([faces, np.roll(faces, -1, 1)], -1), axis=-1)
    middles = number[np.searchsorted(key, sides[..., 0] * len(points) + sides[..., 1])]
    split = middles >= 0
    kind = split.sum(1)
    # Turned until one halved edge, or two, come first.
    first = np.where(kind == 1, split.argmax(1), np.where(kind == 2, (split.argmin(1) + 1) % 3, 0))
    turn = (first[:, None] + np.arange(3)) % 3
    corners = np.concatenate([np.take_along_axis(each, turn, 1) for each in (faces, middles)], 1)
    pieces = [corners[kind == count][:, np.array(HALVED[count])].reshape(-1, 3) for count in range(4)]
    return np.concatenate(pieces), ends


def _laid_out(points: Float[ndarray, "M 3"]) -> Float[ndarray, "M 2"]:
    """Texture coordinates: the angle from the whorl is the distance from the map's middle.

    **Source:** the azimuthal equidistant projection (Snyder 1987, Map Projections, section 25).
    """
    low, high = points.min(0), points.max(0)
    away = points - [0.0, high[1] - MIDDLE, 0.5 * (low[2] + high[2])]
    cos, sin = np.cos(WHORL), np.sin(WHORL)
    up, front = cos * away[:, 1] - sin * away[:, 2], cos * away[:, 2] + sin * away[:, 1]
    aside = np.hypot(away[:, 0], front)
    radius = np.arctan2(aside, up) / aside.clip(1e-9)
    flat = np.stack([away[:, 0], -front], 1) * radius[:, None]
    scale = (0.5 - FREE) / np.abs(flat).max()
    return 0.5 + scale * flat
