"""Fixtures of the fitting tests."""

import pytest
from tests.unit.fitting.miniature_head import build_model, draw_parameters, landmarks_of

from facewright.fitting.landmark_basis import landmark_basis


@pytest.fixture(scope="session")
def model():
    return build_model()


@pytest.fixture(scope="session")
def basis(model):
    return landmark_basis(model)


@pytest.fixture
def truth(model):
    return draw_parameters(model, 8)


@pytest.fixture
def pixels(model, truth):
    return landmarks_of(model, truth)
