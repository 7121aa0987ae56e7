"""The miniature head, its chart, and the paint that unwrapping must find again."""

import pytest
from tests.miniature_head import miniature_model
from tests.painted_head import SIZE, painted_map

from facewright.uv import UvChart


@pytest.fixture(scope="session")
def miniature():
    return miniature_model()


@pytest.fixture(scope="session")
def chart(miniature):
    return UvChart.of(miniature.topology, SIZE)


@pytest.fixture(scope="session")
def truth():
    return painted_map()
