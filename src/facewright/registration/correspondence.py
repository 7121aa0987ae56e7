"""Closest points on a scan, and which of them can be believed."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray

from facewright.geometry.adjacency import rim_of
from facewright.geometry.nearest import ClosestPoints, SurfaceIndex, closest_points, index_surface
from facewright.geometry.normals import vertex_normals

ON_BORDER = 0.999  # share of border vertices in a point above which the point lies on the border


@dataclass(frozen=True)
class Target:
    """A surface to register to, prepared for queries; made by ``prepare_target``.

    Attributes:
        index: for closest points; holds vertices (mm, head frame) and faces.
        normals: unit normals at the vertices, outward.
        border: vertices on the rim of a hole or of the scan; none for a cloud of points.
        spacing: of the points of a cloud, 0 for a mesh: whoever is further to the side of the nearest point
            than this is beyond the rim.
    """

    index: SurfaceIndex
    normals: Float[ndarray, "V 3"]
    border: Bool[ndarray, " V"]
    spacing: float = 0.0

    @property
    def vertices(self) -> Float[ndarray, "V 3"]:
        """Positions, mm, head frame."""
        return self.index.vertices

    @property
    def faces(self) -> Int64[ndarray, "F 3"]:
        """Triangles."""
        return self.index.faces

    @cached_property
    def areas(self) -> Float[ndarray, " F"]:
        """Area of each triangle in mm^2."""
        a, b, c = self.vertices[self.faces].transpose(1, 0, 2)
        return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2


@dataclass(frozen=True)
class Matches:
    """The closest point of the target to each template vertex.

    Attributes:
        points: on the target.
        distance: mm.
        cosine: of the angle between the two surfaces' normals.
        agreement: product of the two normals as they were given and interpolated: less than the cosine where
            a surface is uneven.
        on_border: the point lies on the rim of the target, where it says nothing about the vertex.
    """

    points: Float[ndarray, "N 3"]
    distance: Float[ndarray, " N"]
    cosine: Float[ndarray, " N"]
    agreement: Float[ndarray, " N"]
    on_border: Bool[ndarray, " N"]


def prepare_target(
    vertices: Float[ndarray, "V 3"],
    faces: Int64[ndarray, "F 3"],
    *,
    spacing: float = 0.0,
) -> Target:
    """Prepare a surface.

    Args:
        vertices: finite positions, mm, head frame.
        faces: counter-clockwise from outside; holes and non-manifold edges are allowed.
        spacing: 0 for a mesh; for a cloud of points, whose triangles stand apart, the points' distance.

    Raises:
        InputError: there is no triangle.
    """
    index = index_surface(vertices, faces)
    border = np.zeros(len(vertices), dtype=bool) if spacing else rim_of(index.faces, len(vertices))
    return Target(index, normals_of(index.vertices, index.faces), border, spacing)


def normals_of(vertices: Float[ndarray, "V 3"], faces: Int64[ndarray, "F 3"]) -> Float[ndarray, "V 3"]:
    """Unit normals at the vertices."""
    return vertex_normals(torch.from_numpy(vertices)[None], torch.from_numpy(faces))[0].numpy()


def match(target: Target, points: Float[ndarray, "N 3"], normals: Float[ndarray, "N 3"]) -> Matches:
    """Find the closest point of the target to each point.

    Args:
        target: the surface.
        points: mm, head frame.
        normals: at the points, of any length.
    """
    found: ClosestPoints = closest_points(target.index, points)
    corners = target.faces[found.triangle]
    there = (target.normals[corners] * found.barycentric[..., None]).sum(1)
    agreement = (there * normals).sum(1)
    there /= np.linalg.norm(there, axis=1, keepdims=True).clip(1e-12)
    cosine = (there * normals).sum(1) / np.linalg.norm(normals, axis=1).clip(1e-12)
    rim = (target.border[corners] * found.barycentric).sum(1) > ON_BORDER
    if target.spacing:
        offset = points - found.points
        aside = offset - (offset * there).sum(1, keepdims=True) * there
        rim = np.linalg.norm(aside, axis=1) > target.spacing
    return Matches(found.points, found.distance, cosine, agreement, rim)
