"""How far from where a fit projects it each part of a face is seen in its photo, by the landmarks.

A fit smooths: lids, lips and the corners of a mouth lie some pixels beside those of the photo, and what is
there (teeth, the white of an eye, a cheek) would be painted on them. The landmarks were seen in the photo
itself; what they miss is spread over the mesh, so that two lips move apart as the landmarks of each do.
"""

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from scipy.sparse.linalg import cg
from torch import Tensor

from facewright.geometry.laplacian import laplacian_matrix
from facewright.geometry.normals import vertex_normals
from facewright.models.face_model import FaceModel
from facewright.render.shading import unit
from facewright.scene.parameters import HeadParameters

# Of a landmark's shift against the difference of two neighbouring vertices', and of staying put.
PULL, REST = 1.0, 0.01
CLOSE = 1e-3  # px
FACING = 0.15  # cosine to the view from which on a landmark is seen and not guessed


def landmark_shift(
    model: FaceModel, parameters: HeadParameters, detected: Float[Tensor, "L 2"], name: str = "dense478"
) -> Float[Tensor, "V 2"]:
    """Pixels from each vertex's projection to where the photo shows it; 0 far from all landmarks.

    Landmarks that slide along the contour of the face tell nothing, nor do those that look away.

    Args:
        model: of the fit.
        parameters: the fit, B = 1.
        detected: landmarks seen in the photo, px.
        name: of the landmark set.

    Raises:
        InputError: the model has no such landmark set.
    """
    placed = parameters.pose.camera_from_head(model.vertices(parameters.identity, parameters.expression))
    points = model.landmark_points(placed, name)
    missed = detected.to(points) - parameters.camera.project(points)[0, :, :2]
    marks, faces = model.landmarks[name], model.topology.faces
    normals = unit(marks.on(vertex_normals(placed, faces), faces))
    facing = -(normals * unit(points)).sum(-1)[0]
    told = (~marks.contour & (facing > FACING)).nonzero()[:, 0]
    count, corners = len(told), faces[marks.triangle[told]].cpu().numpy()
    weights = marks.weights[told].double().cpu().numpy()
    rows = np.repeat(np.arange(count), 3)
    place = sparse.csr_array((weights.ravel(), (rows, corners.ravel())), shape=(count, placed.shape[1]))
    # Neighbours move alike, and what nothing pulls stays.
    alike = laplacian_matrix(model.topology.edges.vertices.cpu().numpy(), placed.shape[1])
    system = alike + REST * sparse.eye_array(placed.shape[1]) + PULL * (place.T @ place)
    wanted = PULL * (place.T @ missed[told].double().cpu().numpy())
    rough = sparse.diags_array(1 / system.diagonal())
    found = [cg(system, side, rtol=CLOSE, atol=CLOSE, M=rough)[0] for side in wanted.T]
    return torch.from_numpy(np.stack(found, 1)).to(points)
