"""Meshes of GLB files read back; damaged and hostile files are told in one line."""

import io
import json
import struct

import numpy as np
import pytest
from PIL import Image
from tests.unit.export.glb_file import Glb

from facewright.core.errors import InputError
from facewright.export import glb_of, glb_read
from facewright.export.glb import glb_bytes
from facewright.export.glb_read import GlbMesh, read_glb_mesh

NODE = "head"
MUTATIONS = 300
HOSTILE = (None, True, -1, 0, 1, 3, 10**9, 1.5, float("nan"), "x", [], [1], {}, {"0": 0})


@pytest.fixture
def good(asset) -> Glb:
    return Glb(glb_of(asset, image_format="png"))


@pytest.fixture
def read(tmp_path):
    """Read bytes as a file."""

    def of(content: bytes) -> GlbMesh | None:
        (tmp_path / "head.glb").write_bytes(content)
        return read_glb_mesh(tmp_path / "head.glb", NODE)

    return of


def told_or_read(read, content: bytes) -> bool:
    """Whether a mesh was read that can be used; an error of another kind than ours fails the test."""
    try:
        mesh = read(content)
    except InputError:
        return False
    if mesh is None:
        return False
    assert np.isfinite(mesh.points).all()
    assert np.isfinite(mesh.uv).all()
    assert mesh.points.shape == (len(mesh.uv), 3)
    assert mesh.faces.shape[1] == 3
    assert 0 <= mesh.faces.min() <= mesh.faces.max() < len(mesh.points)
    assert mesh.texture.shape[2] == 4
    return True


def places(value, way=()):
    """Every place in a document."""
    yield way
    for key, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from places(inner, (*way, key))


def with_value(document, way, value):
    """A copy of a document with another value at a place."""
    copy = json.loads(json.dumps(document))
    inner = copy
    for key in way[:-1]:
        inner = inner[key]
    inner[way[-1]] = value
    return copy


def packed(document, binary: bytes) -> bytes:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    whole = glb_bytes({}, binary)
    return whole[:12] + struct.pack("<II", len(text), 0x4E4F534A) + text + whole[12 + 8 + 4 :]


def test_a_mesh_is_read_as_it_was_written(good, read):
    mesh = read(packed(good.document, good.binary))
    primitive = good.document["meshes"][good.node(NODE)["mesh"]]["primitives"][0]
    np.testing.assert_allclose(
        mesh.points, 1e3 * good.accessor(primitive["attributes"]["POSITION"]), rtol=1e-6
    )
    assert np.array_equal(mesh.faces.ravel(), good.accessor(primitive["indices"]).ravel())
    for node in good.document["nodes"]:
        node["name"] = "another"
    assert read(packed(good.document, good.binary)) is None


def test_hostile_values_anywhere_in_the_document_are_told(good, read):
    rng = np.random.default_rng(0)
    reached = [way for way in places(good.document) if way and way[0] not in ("asset", "animations")]
    read_well = 0
    for _ in range(MUTATIONS):
        way = reached[rng.integers(len(reached))]
        value = HOSTILE[rng.integers(len(HOSTILE))]
        read_well += told_or_read(read, packed(with_value(good.document, way, value), good.binary))
    assert 0 < read_well < MUTATIONS  # some places matter to the mesh and others do not


def test_flipped_bytes_and_truncated_files_are_told(good, read):
    rng = np.random.default_rng(1)
    whole = packed(good.document, good.binary)
    (text,) = struct.unpack_from("<I", whole, 12)
    picture = whole.index(b"\x89PNG")
    for number in range(MUTATIONS):
        damaged = bytearray(whole)
        begin, end = (12, 28 + text) if number % 2 else (picture, len(whole))
        for at in rng.integers(begin, end, size=rng.integers(1, 4)):
            damaged[at] ^= int(rng.integers(1, 256))
        told_or_read(read, bytes(damaged))
    assert not any(told_or_read(read, whole[:length]) for length in range(0, 20 + text, 97))
    for length in rng.integers(20 + text, len(whole), size=40):
        told_or_read(read, whole[:length])


def flat_picture(width: int, height: int) -> bytes:
    kept = io.BytesIO()
    Image.new("1", (width, height)).save(kept, "PNG")
    return kept.getvalue()


@pytest.mark.parametrize("side", [9000, 20000])
def test_large_textures_are_not_decoded(good, read, side):
    content = flat_picture(side, side)
    document, binary = good.document, good.binary + content
    material = document["materials"][document["meshes"][good.node(NODE)["mesh"]]["primitives"][0]["material"]]
    texture = document["textures"][material["pbrMetallicRoughness"]["baseColorTexture"]["index"]]
    view = document["bufferViews"][document["images"][texture["source"]]["bufferView"]]
    view.update(byteOffset=len(good.binary), byteLength=len(content))
    with pytest.raises(InputError, match="no GLB file of facewright"):
        read(packed(document, binary))
    small = flat_picture(16, 8)
    view.update(byteLength=len(small))
    assert read(packed(document, good.binary + small)).texture.shape == (8, 16, 4)


def test_deep_documents_and_large_files_are_told(read, tmp_path, good, monkeypatch):
    deep = b'{"nodes":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    with pytest.raises(InputError, match="no GLB file of facewright"):
        read(packed(deep, good.binary))
    whole = packed(good.document, good.binary)
    assert read(whole) is not None
    monkeypatch.setattr(glb_read, "MOST_BYTES", len(whole) - 1)
    with pytest.raises(InputError, match="at most"):
        read(whole)


@pytest.mark.parametrize(
    "wrong", ["four corners", "scalar texture coordinates", "infinite place", "far corner"]
)
def test_values_that_are_no_mesh_are_told(good, read, wrong):
    document, binary = good.document, bytearray(good.binary)
    primitive = document["meshes"][good.node(NODE)["mesh"]]["primitives"][0]
    place, corners = (
        document["accessors"][row] for row in (primitive["attributes"]["POSITION"], primitive["indices"])
    )
    coordinates = document["accessors"][primitive["attributes"]["TEXCOORD_0"]]
    begin = {id(each): document["bufferViews"][each["bufferView"]]["byteOffset"] for each in (place, corners)}
    if wrong == "four corners":
        corners["count"] = 4
        document["bufferViews"][corners["bufferView"]]["byteLength"] = 4 * (
            2 if corners["componentType"] == 5123 else 4
        )
    elif wrong == "scalar texture coordinates":
        coordinates.update(type="SCALAR", count=2 * coordinates["count"])
    elif wrong == "infinite place":
        struct.pack_into("<f", binary, begin[id(place)], float("inf"))
    else:
        struct.pack_into("<H", binary, begin[id(corners)], place["count"])
    with pytest.raises(InputError, match="no GLB file of facewright"):
        read(packed(document, bytes(binary)))
