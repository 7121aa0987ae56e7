"""The way between two heads: its ends are the heads, and its GLB plays it."""

import io
import json
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.miniature_head import miniature_model

from facewright.core.errors import InputError
from facewright.export.gltf import glb_of
from facewright.export.parameters import SavedParameters
from facewright.models.sphere_model import sphere_model
from facewright.pipeline.interpolate import draw_strip, interpolate_into, walk_asset, walk_between
from facewright.pipeline.saved_head import SavedHead
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import soft_light
from facewright.scene.parameters import HeadParameters
from facewright.scene.pose import frontal_pose


@pytest.fixture(scope="module")
def model():
    head = miniature_model()
    return replace(head, regions={**head.regions, "front": head.mean[:, 2] > 0})


def saved_head(model, name, identity, smile, size=8):
    camera = PerspectiveCamera(torch.tensor([500.0]), torch.tensor([[120.0, 120.0]]), (240, 240))
    expression = torch.zeros(1, 52)
    expression[0, model.expression_names.index("mouthSmileLeft")] = smile
    zero, pose, light = torch.zeros(1, 1), frontal_pose(1, 900.0), soft_light(1, 0.6, above=0.1, front=0.1)
    parameters = HeadParameters(torch.tensor([identity]), expression, zero, zero, pose, camera, light)
    flat = torch.zeros(3, 2)
    saved = SavedParameters(
        model.name,
        model.version,
        "a.png",
        parameters,
        model.expression_names,
        flat,
        flat,
        torch.zeros(3, 3),
        {},
    )
    return SavedHead(name, saved, model, torch.full((size, size, 3), 0.3))


@pytest.fixture(scope="module")
def heads(model):
    return saved_head(model, "ann", [1.0, -0.5, 0.3], 0.0), saved_head(
        model, "bob", [-0.4, 1.5, 0.6], 0.8, 16
    )


@pytest.fixture(scope="module")
def walk(model, heads):
    return walk_between(heads[0], heads[1], sphere_model(model, model.regions["front"]), 5)


def test_the_way_starts_and_ends_at_the_heads(walk, heads):
    for head, vertices in zip(heads, walk.vertices[[0, -1]], strict=True):
        own = head.saved.parameters
        expected = head.model.vertices(own.identity, own.expression)[0]
        torch.testing.assert_close(vertices, expected, atol=1e-3, rtol=0)
    steps = walk.scales.diff()
    torch.testing.assert_close(steps, steps[:1].expand(4), rtol=1e-3, atol=1e-4)
    # The control: the straight line between the meshes is another way, nearer to the mean head.
    middle = 0.5 * (walk.vertices[0] + walk.vertices[-1])
    assert float((middle - walk.vertices[2]).abs().max()) > 0.1


def test_opposite_heads_have_no_shortest_way(model):
    ends = [saved_head(model, "x", [sign * 1.0, sign * 0.5, 0.0], 0.0) for sign in (1, -1)]
    with pytest.raises(InputError, match="opposite"):
        walk_between(ends[0], ends[1], sphere_model(model), 3)
    with pytest.raises(InputError, match="no direction"):
        walk_between(ends[0], saved_head(model, "mean", [0.0, 0.0, 0.0], 0.0), sphere_model(model), 3)


def test_the_strip_shows_every_face_twice(walk, heads):
    strip = draw_strip(walk, heads)
    pixels = np.asarray(strip, dtype=np.float32)
    assert strip.width > 4 * strip.height / 2
    assert pixels.std() > 5


def test_the_glb_plays_the_way(walk, heads):
    asset = walk_asset(walk, heads)
    document, binary = read_glb(glb_of(asset))
    (animation,) = document["animations"]
    times, key = (numbers(document, binary, animation["samplers"][0][part]) for part in ("input", "output"))
    assert times[0] == 0
    assert times[-1] == pytest.approx(asset.seconds)
    assert (np.diff(times) > 0).all()
    key = key.reshape(len(times), -1)
    head = next(node for node in document["nodes"] if node["name"] == "head")
    names = document["meshes"][head["mesh"]]["extras"]["targetNames"]
    assert list(names) == list(asset.expression_names)
    played = key @ asset.deltas.flatten(1).numpy()
    expected = (torch.cat([walk.vertices, walk.vertices[:-1].flip(0)]) - walk.vertices[0]).flatten(1).numpy()
    np.testing.assert_allclose(played, expected, atol=1e-3)
    # Without frames nothing is played.
    assert "animations" not in read_glb(glb_of(replace(asset, frames=None)))[0]


@pytest.mark.parametrize("steps", [1, 1000])
def test_steps_out_of_range_are_refused(tmp_path, steps):
    with pytest.raises(InputError, match="steps"):
        interpolate_into(tmp_path, tmp_path, tmp_path / "out", steps)


def read_glb(content):
    stream = io.BytesIO(content)
    stream.seek(12)
    size = struct.unpack("<I", stream.read(4))[0]
    stream.seek(20)
    document = json.loads(stream.read(size))
    stream.seek(28 + size)
    return document, stream.read()


def numbers(document, binary, index):
    accessor = document["accessors"][index]
    view = document["bufferViews"][accessor["bufferView"]]
    return np.frombuffer(binary, "<f4", accessor["count"], view["byteOffset"])
