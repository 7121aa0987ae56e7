"""A foreign model in the base head's topology: registered, not told, where its vertices lie."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.unit.models.face_mask import SHIFT, TURN, face_mask

from facewright.core.errors import FacewrightError
from facewright.models.base import load_base_model
from facewright.pipeline.model_to_base import bring_to_base
from facewright.registration.face_fit import FaceFitSettings
from facewright.registration.head import RegistrationSettings
from facewright.registration.records import ScanLandmarks
from facewright.registration.schedule import FROM_FACE_FIT

# The model fit meets this mean already: two steps of deformation are enough.
STIFF = replace(
    FROM_FACE_FIT, stages=tuple(replace(stage, iterations=1) for stage in FROM_FACE_FIT.stages[:2])
)
QUICK = RegistrationSettings(fit=FaceFitSettings(samples=600, iterations=6), nonrigid=STIFF, scan_points=0)
SEVEN = np.array([33, 133, 362, 263, 1, 61, 291])  # eye corners, tip of the nose, corners of the mouth


def test_a_mask_of_the_base_head_gets_its_statistics_back() -> None:
    base = load_base_model()
    mask = face_mask(base, identities=2)
    points = base.landmark_points(base.mean, "dense478")[SEVEN].double().numpy() @ TURN + SHIFT
    landmarks = ScanLandmarks(SEVEN, points, np.full(len(SEVEN), 1.0))
    found = bring_to_base(mask, base=base, landmarks=landmarks, settings=QUICK)
    assert found.covered > 0.9
    assert found.distance < 0.1
    tight = base.regions["face_tight"]
    error = (found.model.identity_basis - base.identity_basis[:2])[:, tight].norm(dim=2).mean()
    size = base.identity_basis[:2, tight].norm(dim=2).mean()
    assert float(error) < 0.1 * float(size)
    assert torch.equal(found.model.expression_basis, base.expression_basis)
    assert found.model.landmarks.keys() == base.landmarks.keys()


def test_a_model_that_no_head_comes_to_lie_on_is_refused() -> None:
    base = load_base_model()
    points = base.landmark_points(base.mean, "dense478")[SEVEN].double().numpy() * 0.3
    landmarks = ScanLandmarks(SEVEN, points, np.full(len(SEVEN), 1.0))
    with pytest.raises(FacewrightError):
        bring_to_base(face_mask(base), base=base, landmarks=landmarks, settings=QUICK)
