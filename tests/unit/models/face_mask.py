"""The front of the base head as a model of its own, whose true statistics are known everywhere."""

from dataclasses import replace

import numpy as np
import torch

from facewright.geometry.mesh import Topology
from facewright.models.face_model import FaceModel

TURN = np.array([[0.96, 0, 0.28], [0, 1, 0], [-0.28, 0, 0.96]])
SHIFT = np.array([4.0, -7.0, 30.0])


def face_mask(base: FaceModel, identities: int = 3) -> FaceModel:
    """Other vertices, another frame (turned, then shifted), the first identities, all expressions."""
    keep = base.regions["face"] & base.parts["skin"]
    faces = base.topology.faces[keep[base.topology.faces].all(1)]
    used = torch.unique(faces)
    used = used[torch.randperm(len(used), generator=torch.Generator().manual_seed(0))]
    place = torch.full((len(base.mean),), -1)
    place[used] = torch.arange(len(used))
    turn = torch.from_numpy(TURN).float()
    own = torch.arange(len(used))
    return replace(
        base,
        name="mask",
        topology=Topology(place[faces], base.topology.uv, place[faces]),
        mean=base.mean[used] @ turn + torch.from_numpy(SHIFT).float(),
        identity_basis=base.identity_basis[:identities, used] @ turn,
        expression_basis=base.expression_basis[:, used] @ turn,
        diffuse_mean=(base.diffuse_mean[used] * 0.8),
        diffuse_basis=base.diffuse_basis[:2, used],
        specular_mean=base.specular_mean[used],
        specular_basis=base.specular_basis[:0, used],
        mirror=own,
        regions={},
        parts={"skin": torch.ones(len(used), dtype=torch.bool)},
        landmarks={},
    )
