"""Where hair may grow on a head, and the shell that stands for it: triangles of the skin, lifted off it."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu
from scipy.spatial import KDTree
from torch import Tensor

from facewright.geometry.adjacency import edge_table, rim_of
from facewright.geometry.laplacian import laplacian_matrix
from facewright.geometry.normals import vertex_normals
from facewright.models.face_model import FaceModel
from facewright.models.hair_mesh import WHORL, HairMesh

# Angles (radians from the front, around the vertical axis) and heights above the brows (mm) at them: above
# the first line hair may lie, above the second short hair lies where nothing is known.
CORNERS = np.radians([0.0, 25.0, 50.0, 72.0, 98.0, 110.0, 125.0, 180.0])
LOWEST = np.array([0.0, -5.0, -20.0, -80.0, -129.0, -131.0, -136.0, -140.0])
SHORT = np.array([40.0, 38.0, 25.0, -5.0, -5.0, -40.0, -80.0, -95.0])
NO_HAIR = ("inner_mouth", "eye_sockets")
EARS = ("ear_left", "ear_right")
RIM_ANGLES, RIM = np.radians([30.0, 60.0]), np.array([6.0, 24.0])  # mm of height: beside the face it is steep
RINGS = 3  # of vertices around an ear that are smoothed with it
KNOTS, SAMPLES = 260, 1000
NEAR, BESIDE = 8, 6  # knots that a place depends on, neighbours of a knot
WIDTH = 0.9  # of a knot's influence, in distances of knots
SMOOTHINGS = 8  # rounds over the normals along which the shell rises
HANGS_FREE = (
    0.0,
    60.0,
)  # mm above the brows between which strands turn from the whorl's ways to straight down


@dataclass(frozen=True)
class HairCap:
    """The skin of a model that hair may cover, without the relief of its ears, and smooth fields on it.

    A field has one number a knot. Everything is computed on the CPU in float64: it is small.

    Attributes:
        vertex: rows of the model.
        faces: triangles, indices into ``vertex``.
        triangle: their rows in the model's topology.
        ears: of which ear's relief each vertex is a part (left, right), with what surrounds it.
        angle: of the mean head, radians around the vertical axis from the front, positive on its left.
        height: of the mean head, mm above the brows.
        samples: rows of ``vertex``, evenly spread; the first are the knots.
        spread: from knots to vertices.
        roughness: quadratic form, how far a field is from the mean of the knots around.
        lopsided: quadratic form, how far a field is from its mirror image.
        mesh: of shells over it.
    """

    vertex: Int64[ndarray, " N"]
    faces: Int64[Tensor, "F 3"]
    triangle: Int64[Tensor, " F"]
    ears: Bool[ndarray, "2 N"]
    angle: Float[ndarray, " N"]
    height: Float[ndarray, " N"]
    samples: Int64[ndarray, " M"]
    spread: sparse.csr_array
    roughness: Float[ndarray, "K K"]
    lopsided: Float[ndarray, "K K"]
    mesh: HairMesh
    _neighbours: sparse.csr_array
    _without_ears: sparse.csr_array

    @classmethod
    def of(cls, model: FaceModel) -> "HairCap | None":
        """Choose the skin and spread the knots over it; None for a model without brows or such a scalp."""
        brows = [model.regions[name] for name in ("brow_left", "brow_right") if name in model.regions]
        if not brows or "scalp" not in model.regions:
            return None
        mean = model.mean.detach().cpu().double().numpy()
        skin = _usable_skin(model)
        angle, height = _around_and_up(mean, skin, torch.stack(brows).any(0).cpu().numpy())
        chosen = skin & (height > np.interp(np.abs(angle), CORNERS, LOWEST))
        triangle, faces, vertex = _largest_piece(model.topology.faces.cpu().numpy(), chosen)
        if len(vertex) < SAMPLES:
            return None
        count, packed = len(vertex), torch.from_numpy(faces)
        matrix = laplacian_matrix(edge_table(packed).vertices.numpy(), count)
        neighbours = sparse.csr_array(sparse.diags_array(1 / matrix.diagonal()) @ matrix)
        ears = _ear_patches(model, vertex, faces, neighbours)
        smooth = _laid_over(neighbours, np.logical_or(*ears))
        points = smooth @ mean[vertex]
        samples = _evenly(points, SAMPLES)
        spread, roughness, lopsided = _knots(points, samples[:KNOTS])
        return cls(
            vertex,
            packed,
            torch.from_numpy(triangle),
            ears,
            angle[vertex],
            height[vertex],
            samples,
            spread,
            roughness,
            lopsided,
            HairMesh.of(vertex, faces, points),
            neighbours,
            smooth,
        )

    @property
    def over_short(self) -> Float[ndarray, " N"]:
        """Height of each vertex of the mean head over the hairline of short hair, mm."""
        return self.height - np.interp(np.abs(self.angle), CORNERS, SHORT)

    @property
    def inner(self) -> Float[ndarray, " N"]:
        """0 at the cap's lower rim to 1 further in: hair ends before the mesh, whose teeth would be seen."""
        low = np.interp(np.abs(self.angle), CORNERS, LOWEST)
        rim = np.interp(np.abs(self.angle), RIM_ANGLES, RIM)
        return ((self.height - low) / rim).clip(0, 1)

    def surface(self, vertices: Float[Tensor, "V 3"]) -> tuple[Float[ndarray, "N 3"], Float[ndarray, "N 3"]]:
        """Places (mm, frame of the vertices) of a head's cap without ears, and smooth directions outward."""
        points = vertices.detach().cpu().double().numpy()[self.vertex]
        points = self._without_ears @ points
        outward = self.normals(points)
        for _ in range(SMOOTHINGS):
            outward = self.smoothed(outward, 1)
            outward /= np.linalg.norm(outward, axis=1, keepdims=True).clip(1e-9)
        return points, outward

    def combed(self, outward: Float[ndarray, "N 3"]) -> Float[ndarray, "N 3"]:
        """Unit ways of hair that is combed from the whorl down, along a surface with these normals."""
        share = ((self.height - HANGS_FREE[0]) / (HANGS_FREE[1] - HANGS_FREE[0])).clip(0, 1)[:, None]
        up = share * [0.0, np.cos(WHORL), -np.sin(WHORL)] + (1 - share) * [0.0, 1.0, 0.0]
        down = (up * outward).sum(1, keepdims=True) * outward - up
        return down / np.linalg.norm(down, axis=1, keepdims=True).clip(1e-9)

    def smoothed(self, values: Float[ndarray, "N ..."], rounds: int) -> Float[ndarray, "N ..."]:
        """Values halfway to the mean of the vertices around, so many times over."""
        for _ in range(rounds):
            values = values - 0.5 * (self._neighbours @ values)
        return values

    def normals(self, points: Float[ndarray, "N 3"]) -> Float[ndarray, "N 3"]:
        """Unit normals of the cap at other places."""
        places = torch.from_numpy(points).float()[None]
        return vertex_normals(places, self.faces)[0].double().numpy()


def _usable_skin(model: FaceModel) -> Bool[ndarray, " V"]:
    skin = model.parts.get("skin", torch.ones_like(model.mirror, dtype=torch.bool)).clone()
    for name in NO_HAIR:
        if name in model.regions:
            skin &= ~model.regions[name]
    return skin.cpu().numpy()


def _around_and_up(
    mean: Float[ndarray, "V 3"], skin: Bool[ndarray, " V"], brows: Bool[ndarray, " V"]
) -> tuple[Float[ndarray, " V"], Float[ndarray, " V"]]:
    brow = mean[brows, 1].mean()
    depth = mean[skin & (mean[:, 1] > brow), 2]
    middle = 0.5 * (depth.min() + depth.max())
    return np.arctan2(mean[:, 0], mean[:, 2] - middle), mean[:, 1] - brow


def _largest_piece(
    faces: Int64[ndarray, "F 3"], chosen: Bool[ndarray, " V"]
) -> tuple[Int64[ndarray, " f"], Int64[ndarray, "f 3"], Int64[ndarray, " N"]]:
    """Rows of the triangles of chosen vertices that hang together, the same packed, and their vertices."""
    kept = np.flatnonzero(chosen[faces].all(1))
    corners = faces[kept]
    ends = np.concatenate([corners[:, :2], corners[:, 1:]])
    graph = sparse.coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(chosen),) * 2)
    piece = connected_components(graph, directed=False)[1][corners[:, 0]]
    kept = kept[piece == np.bincount(piece).argmax()] if len(kept) else kept
    vertex, packed = np.unique(faces[kept], return_inverse=True)
    return kept, packed.reshape(-1, 3), vertex


def _ear_patches(
    model: FaceModel, vertex: Int64[ndarray, " N"], faces: Int64[ndarray, "F 3"], neighbours: sparse.csr_array
) -> Bool[ndarray, "2 N"]:
    beside, rim, patches = neighbours != 0, rim_of(faces, len(vertex)), []
    for name in EARS:
        patch = model.regions[name].cpu().numpy()[vertex] if name in model.regions else np.zeros(len(vertex))
        for _ in range(RINGS):
            patch = (beside @ patch.astype(float)) > 0
        patches.append(patch.astype(bool) & ~rim)
    return np.stack(patches)


def _laid_over(neighbours: sparse.csr_array, patch: Bool[ndarray, " N"]) -> sparse.csr_array:
    """What lays the smoothest surface over a patch: from all vertices to them, those of the patch anew.

    Its bilaplacian is 0; that asks for the vertices up to two edges around it alone.
    """
    kept = sparse.csr_array(sparse.diags_array((~patch).astype(float)))
    if not patch.any():
        return kept
    square = sparse.csr_array(neighbours.T @ neighbours)[patch]
    around = np.flatnonzero(~patch & (abs(square).sum(0) > 0))
    filled = -splu(sparse.csc_array(square[:, patch])).solve(square[:, around].toarray())
    rows, columns = (each.ravel() for each in np.meshgrid(np.flatnonzero(patch), around, indexing="ij"))
    return sparse.csr_array(kept + sparse.coo_array((filled.ravel(), (rows, columns)), shape=kept.shape))


def _evenly(points: Float[ndarray, "N 3"], count: int) -> Int64[ndarray, " M"]:
    """Rows of points, each as far from those before it as can be; the highest is the first."""
    chosen, far = [int(points[:, 1].argmax())], np.full(len(points), np.inf)
    while len(chosen) < count:
        far = np.minimum(far, ((points - points[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(far.argmax()))
    return np.array(chosen)


def _knots(
    points: Float[ndarray, "N 3"], knots: Int64[ndarray, " K"]
) -> tuple[sparse.csr_array, Float[ndarray, "K K"], Float[ndarray, "K K"]]:
    tree, count = KDTree(points[knots]), len(knots)
    distance, which = (np.asarray(each) for each in tree.query(points, k=NEAR))
    apart, beside = (np.asarray(each) for each in tree.query(points[knots], k=BESIDE + 1))
    weight = np.exp(-0.5 * (distance / (WIDTH * np.median(apart[:, 1]))) ** 2) + 1e-12
    weight /= weight.sum(1, keepdims=True)
    rows = np.repeat(np.arange(len(points)), NEAR)
    spread = sparse.csr_array((weight.ravel(), (rows, which.ravel())), shape=(len(points), count))
    near = np.zeros((count, count))
    near[np.repeat(np.arange(count), BESIDE), beside[:, 1:].ravel()] = 1
    near = np.maximum(near, near.T)
    away = np.eye(count) - near / near.sum(1, keepdims=True)
    aside = np.eye(count)
    mirrored = np.asarray(tree.query(points[knots] * [-1, 1, 1])[1])
    aside[np.arange(count), mirrored] -= 1
    return spread, away.T @ away, aside.T @ aside
