"""The miniature head as fixtures."""

import pytest
from tests.miniature_head import miniature_model, two_coloured_texture


@pytest.fixture(scope="session")
def miniature():
    return miniature_model()


@pytest.fixture
def texture():
    return two_coloured_texture()
