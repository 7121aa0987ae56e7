"""Our GLB files in other readers: the Khronos glTF-Validator, three.js and Blender, where they are there."""

import json
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
import torch
from tests.miniature_head import miniature_model, two_coloured_texture

from facewright.cli.main import main
from facewright.export import glb_of, head_asset
from facewright.models.base import load_base_model

FOLDER = Path(__file__).parent.parent / "gltf_readers"
NODE, BLENDER = shutil.which("node"), shutil.which("blender")

needs_node = pytest.mark.skipif(
    NODE is None or not (FOLDER / "node_modules").is_dir(),
    reason="needs node and: npm install --prefix tests/gltf_readers",
)
needs_blender = pytest.mark.skipif(BLENDER is None, reason="needs blender on the PATH")


def by_node(script, content, folder):
    path = folder / "head.glb"
    path.write_bytes(content)
    command = [str(NODE), str(FOLDER / script), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(done.stdout)


def validated(content, folder):
    return by_node("validate.js", content, folder)


@pytest.fixture(scope="module")
def whole_head():
    """A random head of the shipped model with its file's bytes."""
    model = load_base_model()
    generator = torch.Generator().manual_seed(0)
    identity = torch.randn(model.identity_count, generator=generator)
    expression = torch.rand(model.expression_count, generator=generator)
    asset = head_asset(model, identity, expression, two_coloured_texture())
    return model, expression, glb_of(asset)


@needs_node
@pytest.mark.parametrize("image_format", ["png", "jpeg"])
def test_no_errors_no_warnings(tmp_path, image_format):
    miniature = miniature_model()
    expression = torch.linspace(0, 1, 52)
    gloss = torch.tensor([1.0]) if image_format == "jpeg" else None  # with and without the extension
    texture = two_coloured_texture()
    asset = head_asset(miniature, torch.tensor([1.0, 0.0, -1.0]), expression, texture, specular=gloss)
    report = validated(glb_of(asset, image_format=image_format), tmp_path)
    assert report["issues"]["messages"] == []
    assert report["info"]["hasMorphTargets"]
    assert report["info"]["totalTriangleCount"] == len(miniature.topology.faces)


@needs_node
def test_a_whole_head_has_no_errors_and_no_warnings(whole_head, tmp_path):
    model, _, content = whole_head
    report = validated(content, tmp_path)
    assert report["issues"]["numErrors"] == report["issues"]["numWarnings"] == 0, report["issues"]["messages"]
    assert report["info"]["totalTriangleCount"] == len(model.topology.faces)


@needs_node
def test_a_head_that_the_command_wrote_has_no_errors_and_no_warnings(tmp_path, portraits):
    options = ["--texture-size", "128", "--out", str(tmp_path)]
    assert main(["reconstruct", str(portraits["astronaut"]), *options]) == 0
    report = validated((tmp_path / "astronaut/head.glb").read_bytes(), tmp_path)
    assert report["issues"]["numErrors"] == report["issues"]["numWarnings"] == 0, report["issues"]["messages"]
    assert report["info"]["hasMorphTargets"]
    assert report["info"]["hasTextures"]


@needs_node
def test_the_validator_catches_a_broken_file(tmp_path):
    content = glb_of(head_asset(miniature_model(), torch.zeros(3), torch.zeros(52), two_coloured_texture()))
    size = struct.unpack_from("<I", content, 12)[0]
    broken = (
        content[:20]
        + content[20 : 20 + size].replace(b'"max":[', b'"max":[9', 1)[:size]
        + content[20 + size :]
    )
    assert validated(broken, tmp_path)["issues"]["numErrors"] > 0


@needs_node
def test_three_js_finds_the_head_its_targets_and_its_size(whole_head, tmp_path):
    model, expression, content = whole_head
    seen = by_node("load_three.mjs", content, tmp_path)
    assert sum(mesh["triangles"] for mesh in seen["meshes"]) == len(model.topology.faces)
    assert {mesh["node"] for mesh in seen["meshes"]} >= {"head", "left_eye", "right_eye"}
    assert all(mesh["normals"] and mesh["texture"] > 0 for mesh in seen["meshes"])
    head = next(mesh for mesh in seen["meshes"] if mesh["node"] == "head")
    assert tuple(head["targets"]) == model.expression_names
    assert head["weights"] == pytest.approx(expression.tolist(), abs=1e-6)
    height = seen["high"][1] - seen["low"][1]
    assert 0.2 < height < 0.45, "a head of metres, upright"


@needs_blender
def test_blender_finds_the_head_its_shape_keys_and_its_size(whole_head, tmp_path):
    model, expression, content = whole_head
    source, out = tmp_path / "head.glb", tmp_path / "seen.json"
    source.write_bytes(content)
    script = str(FOLDER / "open_in_blender.py")
    command = [str(BLENDER), "-b", "--python-exit-code", "3", "-P", script, "--", str(source), str(out)]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    seen = json.loads(out.read_text())
    meshes = seen["meshes"]
    assert set(meshes) == {"head", "left_eye", "right_eye"}
    assert sum(mesh["triangles"] for mesh in meshes.values()) == len(model.topology.faces)
    assert tuple(meshes["head"]["targets"]) == model.expression_names
    assert list(meshes["head"]["targets"].values()) == pytest.approx(expression.tolist(), abs=1e-6)
    assert 0.2 < meshes["head"]["dimensions"][2] < 0.45, "Blender's up is z: a head of metres, upright"
