"""Which point of a prediction is which point of a scan: closest points after a smooth deformation."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from scipy import sparse
from scipy.sparse.linalg import splu

from facewright.evaluation.regions import warp_by_landmarks
from facewright.geometry.adjacency import edge_table
from facewright.geometry.laplacian import laplacian_matrix
from facewright.geometry.nearest import closest_points, index_surface


@dataclass(frozen=True)
class DeformationSettings:
    """How a prediction is bent onto its scan.

    Attributes:
        stiffness: weight of differences between neighbours' displacements, from stiff to loose; a scan point
            has weight 1 where there is one for each vertex.
        landmark_weight: of each landmark, beside the scan points; fades with the stiffness.
        trim: mm; scan points further away do not pull.
        points: of the scan, evenly picked, that take part.
    """

    stiffness: tuple[float, ...] = (100.0, 50.0, 20.0, 10.0, 5.0, 2.0)
    landmark_weight: float = 20.0
    trim: float = 10.0
    points: int = 40_000


def bend_to_scan(
    vertices: Float[ndarray, "V 3"],
    faces: Int64[ndarray, "F 3"],
    scan: Float[ndarray, "N 3"],
    own: Float[ndarray, "L 3"],
    target: Float[ndarray, "L 3"],
    settings: DeformationSettings,
) -> Float[ndarray, "V 3"]:
    """Deform an aligned mesh onto scan points: landmarks first, then closest points, ever less stiff.

    Args:
        vertices: of the prediction, already aligned with the scan, mm.
        faces: its triangles.
        scan: points of the scan; triangles are not needed.
        own: landmarks on the prediction.
        target: the same landmarks on the scan.
        settings: how stiff.

    **Source:** the elastic landmark warp and the non-rigid ICP that Sariyanidi et al. 2025 (M3DFB) compare,
    in one; the data term of REALY (Chai et al. 2022), which pulls at scan points.
    **Differs:** neighbours share displacements, not affine maps: the landmark warp has taken the large
    motion.
    """
    picked = scan[:: max(1, -(-len(scan) // settings.points))]
    count = len(vertices)
    edges = edge_table(torch.from_numpy(faces)).vertices.numpy()
    smooth = sparse.csc_matrix(laplacian_matrix(edges, count))
    anchor = _carriers(vertices, faces, own)
    bent = warp_by_landmarks(vertices, own, target) if len(own) else vertices.copy()
    for stiffness in settings.stiffness:
        found = closest_points(index_surface(bent, faces), picked)
        near = found.distance <= settings.trim
        data = _carriers_of(faces[found.triangle[near]], found.barycentric[near], count)
        density = count / max(int(near.sum()), 1)
        fade = settings.landmark_weight * stiffness / settings.stiffness[0]
        matrix = density * data.T @ data + fade * anchor.T @ anchor + stiffness * smooth
        rest = density * data.T @ (picked[near] - data @ bent) + fade * anchor.T @ (target - anchor @ bent)
        # What is bent already is the new rest shape; a little of the identity for parts without any scan
        # point.
        factor = splu(
            (matrix + 1e-3 * sparse.identity(count)).tocsc(),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
        bent = bent + factor.solve(np.ascontiguousarray(rest))
    return bent


def corresponding_points(
    vertices: Float[ndarray, "V 3"],
    bent: Float[ndarray, "V 3"],
    faces: Int64[ndarray, "F 3"],
    scan: Float[ndarray, "N 3"],
) -> Float[ndarray, "N 3"]:
    """The point of the undeformed mesh that corresponds to each scan point.

    Args:
        vertices: of the aligned prediction.
        bent: the same, deformed onto the scan.
        faces: triangles of both.
        scan: points.
    """
    found = closest_points(index_surface(bent, faces), scan)
    return (vertices[faces[found.triangle]] * found.barycentric[..., None]).sum(1)


def _carriers(vertices: ndarray, faces: ndarray, points: ndarray) -> sparse.csr_matrix:
    """Rows that give the points of the surface nearest to some landmarks."""
    if len(points) == 0:
        return sparse.csr_matrix((0, len(vertices)))
    found = closest_points(index_surface(vertices, faces), points)
    return _carriers_of(faces[found.triangle], found.barycentric, len(vertices))


def _carriers_of(corners: ndarray, weights: ndarray, count: int) -> sparse.csr_matrix:
    rows = np.repeat(np.arange(len(corners)), 3)
    return sparse.csr_matrix((weights.ravel(), (rows, corners.ravel())), shape=(len(corners), count))
