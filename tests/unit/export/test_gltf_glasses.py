"""Spectacles in a GLB: a node of their own, coloured by its vertices."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.unit.export.glb_file import Glb

from facewright.core.errors import InputError
from facewright.export import AssetGlasses, glb_of


@pytest.fixture
def spectacled(asset):
    """The head with a frame of two triangles and a lens of one before it."""
    corners = [[0.0, 0.0, 90.0], [10.0, 0.0, 90.0], [0.0, 10.0, 90.0], [10.0, 10.0, 90.0], [5.0, 5.0, 95.0]]
    faces = torch.tensor([[0, 1, 2], [1, 3, 2], [0, 1, 4]])
    colors = torch.linspace(0.1, 0.9, 15).reshape(5, 3)
    return replace(asset, glasses=AssetGlasses(torch.tensor(corners), faces, colors, 2, 0.25))


def test_glasses_are_a_node_of_frame_and_lenses(spectacled, glb):
    assert "glasses" not in [node["name"] for node in glb.document["nodes"]]
    written = Glb(glb_of(spectacled))
    mesh = written.document["meshes"][written.node("glasses")["mesh"]]
    assert "targets" not in mesh["primitives"][0]  # no expression moves them
    told = []
    for primitive, rows in zip(mesh["primitives"], ([0, 1, 2, 3], [0, 1, 4]), strict=True):
        attributes = primitive["attributes"]
        np.testing.assert_allclose(
            written.accessor(attributes["POSITION"]), spectacled.glasses.vertices[rows] / 1000, atol=1e-7
        )
        np.testing.assert_allclose(
            written.accessor(attributes["COLOR_0"]), spectacled.glasses.colors[rows], atol=1e-6
        )
        told.append(written.document["materials"][primitive["material"]])
    frame, lens = told
    assert "alphaMode" not in frame
    assert "baseColorTexture" not in frame["pbrMetallicRoughness"]  # it is coloured by its vertices alone
    assert lens["alphaMode"] == "BLEND"
    assert lens["pbrMetallicRoughness"]["baseColorFactor"] == [1.0, 1.0, 1.0, 0.25]


def test_glasses_that_are_broken_are_refused(spectacled):
    broken = spectacled.glasses.vertices.clone()
    broken[0, 0] = float("inf")
    with pytest.raises(InputError, match="places of the glasses"):
        glb_of(replace(spectacled, glasses=replace(spectacled.glasses, vertices=broken)))
    beyond = spectacled.glasses.faces + 1
    with pytest.raises(InputError):
        glb_of(replace(spectacled, glasses=replace(spectacled.glasses, faces=beyond)))
