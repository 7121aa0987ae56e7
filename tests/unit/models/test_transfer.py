"""Statistics carried to another mesh: exact where the source covers it, plausible where it does not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.unit.models.face_mask import SHIFT, TURN, face_mask

from facewright.core.errors import InputError
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from facewright.models.transfer import carry_model, correspond


@pytest.fixture(scope="module")
def base() -> FaceModel:
    return load_base_model()


@pytest.fixture(scope="module")
def mask(base: FaceModel) -> FaceModel:
    return face_mask(base)


@pytest.fixture(scope="module")
def carried(base: FaceModel, mask: FaceModel) -> FaceModel:
    placed = (mask.mean.double().numpy() - SHIFT) @ TURN.T
    fitted = base.mean.double().numpy()
    at = correspond(mask, placed, base, fitted, base.regions["face"].numpy())
    return carry_model(mask, base, at, fitted, expressions="own")


def test_what_is_covered_is_exact(base: FaceModel, carried: FaceModel) -> None:
    face = base.regions["face"] & base.parts["skin"]
    assert carried.identity_count == 3
    assert torch.allclose(carried.identity_basis[:, face], base.identity_basis[:3, face], atol=0.02)
    assert torch.allclose(carried.expression_basis[:, face], base.expression_basis[:, face], atol=0.05)
    assert torch.allclose(carried.diffuse_mean[face], 0.8 * base.diffuse_mean[face], atol=0.01)
    turned = base.identity_basis[:3, face] @ torch.from_numpy(TURN).float()
    assert not torch.allclose(carried.identity_basis[:, face], turned, atol=0.5)
    assert torch.equal(carried.specular_basis, base.specular_basis)  # the mask's specular part does not vary


def test_identity_is_continued_as_the_targets_people_are(base: FaceModel, carried: FaceModel) -> None:
    behind = base.parts["skin"] & ~base.regions["face"]
    for name, part in (
        ("skull and neck", behind),
        ("eyes", base.parts["left_eye"] | base.parts["right_eye"]),
    ):
        error = (carried.identity_basis - base.identity_basis[:3])[:, part].norm(dim=2).mean(1)
        size = base.identity_basis[:3, part].norm(dim=2).mean(1)
        assert bool((error < 0.35 * size).all()), (name, error / size)


def test_jaw_parts_follow_and_the_skull_stays(base: FaceModel, carried: FaceModel) -> None:
    jaw = carried.expression_basis[base.expression_names.index("jawOpen")]
    assert float(jaw[base.parts["lower_teeth"], 1].mean()) < -5
    assert float(jaw[base.parts["upper_teeth"]].norm(dim=1).max()) == 0
    own = base.expression_basis[base.expression_names.index("jawOpen")]
    neck = base.regions["neck"] & ~base.regions["face"]
    moved, expected = (float(move[neck].norm(dim=1).mean()) for move in (jaw, own))
    assert moved == pytest.approx(expected, rel=0.2)
    crown = base.parts["skin"] & (base.mean[:, 1] > 60)
    assert float(jaw[crown].norm(dim=1).mean()) < 0.05 * moved


def test_expressions_of_the_base_are_kept_if_wanted(base: FaceModel, mask: FaceModel) -> None:
    fitted = base.mean.double().numpy()
    placed = (mask.mean.double().numpy() - SHIFT) @ TURN.T
    at = correspond(mask, placed, base, fitted, base.regions["face"].numpy())
    model = carry_model(mask, base, at, fitted)
    assert torch.equal(model.expression_basis, base.expression_basis)
    assert model.landmarks.keys() == base.landmarks.keys()
    silent = replace(mask, expression_basis=mask.expression_basis[:0], expression_names=())
    with pytest.raises(InputError, match="no expressions"):
        carry_model(silent, base, at, fitted, expressions="own")
    with pytest.raises(InputError, match="covers 0"):
        correspond(mask, placed, base, fitted, np.zeros(len(fitted), dtype=bool))
