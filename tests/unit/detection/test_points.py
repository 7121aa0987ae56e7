"""Landmarks by number lie where their names say."""

import torch

from facewright.detection.points import IRISES, LIDS, LIPS
from facewright.models.base import load_base_model


def test_margins_of_lips_and_lids_are_where_the_head_has_them() -> None:
    model = load_base_model()
    corners = model.topology.faces[model.landmarks["dense478"].triangle]
    points = model.landmark_points(model.mean, "dense478")
    lips = model.regions["lips"][corners].any(1)
    eyes = (model.parts["left_eye"] | model.parts["right_eye"])[corners].all(1)
    beside = torch.cdist(points, model.eye_centers).min(1).values
    assert len(set(LIPS)) == 40
    assert len(set(LIDS)) == 32
    assert bool(lips[list(LIPS)].all())
    assert sorted(eyes.nonzero()[:, 0].tolist()) == list(IRISES)
    assert float(beside[list(LIDS)].max()) < 25.0
    # Control: the numbers of their neighbours in the list of all landmarks are elsewhere.
    assert not bool(lips[[number + 1 for number in LIPS]].all())
    assert float(beside[[number + 1 for number in LIDS]].max()) > 25.0
