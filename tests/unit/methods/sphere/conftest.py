"""The shipped head over orthonormal axes, made once."""

import pytest

from facewright.models.sphere_model import sphere_model


@pytest.fixture(scope="session")
def sphere(model):
    return sphere_model(model, model.regions["face"])
