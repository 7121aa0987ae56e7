"""Our GLB files under the Khronos glTF-Validator, run by node."""

import json
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
import torch
from tests.miniature_head import miniature_model, two_coloured_texture

from facewright.export import glb_of, head_asset
from facewright.models.base import load_base_model

FOLDER = Path(__file__).parent.parent / "gltf_validator"
NODE = shutil.which("node")

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="needs node to run the Khronos glTF-Validator"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules").is_dir(),
        reason="needs the Khronos glTF-Validator: npm install --prefix tests/gltf_validator",
    ),
]


def validated(content, folder):
    path = folder / "head.glb"
    path.write_bytes(content)
    command = [str(NODE), str(FOLDER / "validate.js"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("image_format", ["png", "jpeg"])
def test_no_errors_no_warnings(tmp_path, image_format):
    miniature = miniature_model()
    expression = torch.linspace(0, 1, 52)
    asset = head_asset(miniature, torch.tensor([1.0, 0.0, -1.0]), expression, two_coloured_texture())
    report = validated(glb_of(asset, image_format=image_format), tmp_path)
    assert report["issues"]["messages"] == []
    assert report["info"]["hasMorphTargets"]
    assert report["info"]["totalTriangleCount"] == len(miniature.topology.faces)


def test_a_whole_head_has_no_errors_and_no_warnings(tmp_path):
    model = load_base_model()
    generator = torch.Generator().manual_seed(0)
    identity = torch.randn(model.identity_count, generator=generator)
    expression = torch.rand(model.expression_count, generator=generator)
    asset = head_asset(model, identity, expression, two_coloured_texture())
    report = validated(glb_of(asset), tmp_path)
    assert report["issues"]["numErrors"] == report["issues"]["numWarnings"] == 0, report["issues"]["messages"]
    assert report["info"]["totalTriangleCount"] == len(model.topology.faces)


def test_the_validator_catches_a_broken_file(tmp_path):
    content = glb_of(head_asset(miniature_model(), torch.zeros(3), torch.zeros(52), two_coloured_texture()))
    size = struct.unpack_from("<I", content, 12)[0]
    broken = (
        content[:20]
        + content[20 : 20 + size].replace(b'"max":[', b'"max":[9', 1)[:size]
        + content[20 + size :]
    )
    assert validated(broken, tmp_path)["issues"]["numErrors"] > 0
