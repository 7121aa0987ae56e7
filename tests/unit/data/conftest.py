from dataclasses import replace

import pytest

from facewright.data.sampling import OccluderSettings, SamplingSettings
from facewright.data.synthesis import Studio, open_studio, samples
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel

SMALL = SamplingSettings(size=96, texture_size=32)
NOTHING = OccluderSettings(*[0.0] * 7)


@pytest.fixture(scope="session")
def base_model() -> FaceModel:
    return load_base_model()


@pytest.fixture(scope="session")
def studio(base_model) -> Studio:
    return open_studio(base_model, SMALL)


@pytest.fixture(scope="session")
def bare_studio(studio) -> Studio:
    """No hair, no clothes, nothing before the face."""
    return replace(studio, settings=replace(SMALL, occluders=NOTHING))


@pytest.fixture(scope="session")
def photos(studio):
    return samples(studio, 5, range(6))
