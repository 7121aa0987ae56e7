"""Where the lips of a closed mouth meet."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from scipy.spatial import KDTree

from facewright.geometry.nearest import closest_points, index_surface
from facewright.geometry.normals import vertex_normals
from facewright.models.face_model import FaceModel

FACING = 0.3  # share of a vertex normal that points to the other lip, at least
WIDEST = 2.0  # mm between the lips of the mean head, beyond which they are the groove before the mouth
LINE, NARROW = 1.2, 0.35  # mm along the mouth, and how much wider than its narrowest there a pair may be


@dataclass(frozen=True)
class LipSeam:
    """Pairs of points that lie on one another when the mouth is closed.

    Attributes:
        upper: vertices of the upper lip's margin.
        triangle: of the model, on the lower lip under each.
        corner_weights: barycentric, of the place in it.
        rest: mm that the pairs are apart on the mean head; negative where they cross.
    """

    upper: Int64[ndarray, " N"]
    triangle: Int64[ndarray, " N"]
    corner_weights: Float[ndarray, "N 3"]
    rest: Float[ndarray, " N"]

    def places(
        self, vertices: Float[ndarray, "V 3"], faces: Int64[ndarray, "F 3"]
    ) -> tuple[Float[ndarray, "N 3"], Float[ndarray, "N 3"], Float[ndarray, "N 3"]]:
        """Both points of each pair on a head, and the unit way up from the lower lip between them."""
        corners = faces[self.triangle]
        lower = (vertices[corners] * self.corner_weights[..., None]).sum(1)
        a, b, c = vertices[corners].transpose(1, 0, 2)
        way = np.cross(b - a, c - a)
        return vertices[self.upper], lower, way / np.linalg.norm(way, axis=1, keepdims=True).clip(1e-12)

    def gaps(self, vertices: Float[ndarray, "V 3"], faces: Int64[ndarray, "F 3"]) -> Float[ndarray, " N"]:
        """How far the lips of a head are apart in mm; negative where they cross."""
        upper, lower, way = self.places(vertices, faces)
        return ((upper - lower) * way).sum(1)


def lip_seam(model: FaceModel) -> LipSeam:
    """Find the seam on the mean head; no pairs in a model whose lips do not face each other."""
    lips = model.regions.get("lips", torch.zeros(len(model.mean), dtype=torch.bool))
    return seam_between(model.mean.double().numpy(), model.topology.faces.numpy(), lips.numpy())


def seam_between(
    points: Float[ndarray, "V 3"], faces: Int64[ndarray, "F 3"], lips: Bool[ndarray, " V"]
) -> LipSeam:
    """``lip_seam`` of the head whose vertices these are; lips: the vertices of both."""
    normals = vertex_normals(torch.from_numpy(points)[None], torch.from_numpy(faces))[0].numpy()
    above = np.flatnonzero(lips & (normals[:, 1] < -FACING))
    below = np.flatnonzero((lips & (normals[:, 1] > FACING))[faces].all(1))
    if not len(above) or not len(below):
        none = np.zeros(0, dtype=np.int64)
        return LipSeam(none, none, np.zeros((0, 3)), np.zeros(0))
    found = closest_points(index_surface(points, np.ascontiguousarray(faces[below])), points[above])
    near = np.flatnonzero(found.distance < WIDEST)
    above, distance = above[near], found.distance[near]
    # In each part of the mouth the lips meet where they are nearest; before and behind they curve apart.
    along = points[above][:, :1]
    around = KDTree(along).query_ball_point(along, LINE)
    narrow = distance <= np.array([distance[other].min() for other in around] or np.zeros(0)) + NARROW
    kept = near[narrow]
    seam = LipSeam(
        above[narrow],
        below[found.triangle[kept]].astype(np.int64),
        found.barycentric[kept],
        found.distance[kept],
    )
    return replace(seam, rest=seam.gaps(points, faces))
