"""A learned basis of the face as a Sphere Face Model of the whole head."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor

from facewright.core.errors import InputError
from facewright.methods.sphere.codes import closed_codes
from facewright.methods.sphere.space import ScanSpace, SpaceScans
from facewright.methods.sphere.stage1 import decorrelated
from facewright.models.face_model import FaceModel
from facewright.models.sphere_model import SphereModel, measured
from facewright.models.transfer import EYES, Correspondence, carry_model

NAME = "sphere"
LEAST_DEVIATION = 1e-4  # of the greatest: a coordinate that varies less is none


def sphere_head(
    basis: Float[Tensor, "R D"],
    space: ScanSpace,
    scans: SpaceScans,
    vertex: Int64[ndarray, " C"],
    base: FaceModel,
    *,
    version: str = "1",
) -> SphereModel:
    """The head model whose face is what scans taught, and whose rest follows the face.

    Between the vertices of the scans, and beyond them, displacements are what the base head's statistics say
    goes with the face, and the remainder is continued smoothly (``facewright.models.transfer``).

    Args:
        basis: A, in the space.
        space: of the scans.
        scans: that it was learned from, in the space.
        vertex: numbers of the scans' vertices in the base head.
        base: whose topology, expressions, colours, landmarks and regions are taken.
        version: of the model.

    Raises:
        InputError: a coordinate of the codes does not vary over the scans.
    """
    turned, deviations = decorrelated(basis, scans)
    if not bool((deviations > LEAST_DEVIATION * deviations[0]).all()):
        raise InputError("some coordinates of the codes do not vary over the scans: choose fewer dimensions.")
    axes = torch.from_numpy(space.axes) @ turned
    moves = torch.zeros(len(deviations) + 1, len(base.mean), 3)
    moves[:-1, vertex] = (axes * deviations).T.unflatten(1, (-1, 3))
    # The mean's difference is carried along as one more displacement.
    moves[-1, vertex] = torch.from_numpy(space.mean).unflatten(0, (-1, 3)) - base.mean[vertex]
    every = np.repeat(vertex[:, None], 3, axis=1)
    weights = np.tile([1.0, 0.0, 0.0], (len(vertex), 1))
    at = Correspondence(vertex, every, weights, np.eye(3))
    source = replace(base, identity_basis=moves)
    carried = carry_model(source, base, at, base.mean.numpy()).identity_basis
    eyes = torch.stack([carried[-1][base.parts[eye]].mean(0) for eye in EYES])
    model = replace(
        base,
        name=NAME,
        version=version,
        mean=base.mean + carried[-1],
        identity_basis=carried[:-1],
        eye_centers=base.eye_centers + eyes,
    )
    region = torch.zeros(len(base.mean), dtype=torch.bool)
    region[vertex] = True
    codes = closed_codes(basis, scans.coordinates)
    scales = (codes @ basis.T).norm(dim=1)
    return measured(SphereModel(model, deviations, region, float(scales.mean()), float(scales.std())))
