"""The miniature head and its GLB file as fixtures."""

import pytest
import torch
from tests.miniature_head import miniature_model, two_coloured_texture
from tests.unit.export.glb_file import Glb

from facewright.export import glb_of, head_asset


@pytest.fixture(scope="session")
def miniature():
    return miniature_model()


@pytest.fixture
def texture():
    return two_coloured_texture()


@pytest.fixture
def asset(miniature, texture):
    expression = torch.zeros(52)
    expression[miniature.expression_names.index("eyeLookUpLeft")] = 0.6
    expression[miniature.expression_names.index("jawOpen")] = 0.5
    expression[miniature.expression_names.index("mouthSmileLeft")] = 0.8
    return head_asset(miniature, torch.tensor([1.0, -1.0, 0.5]), expression, texture)


@pytest.fixture
def glb(asset):
    return Glb(glb_of(asset, image_format="png"))
