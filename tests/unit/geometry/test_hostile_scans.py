"""Scan files that are damaged, or made to take more memory than they are worth."""

import base64
import io
import json
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from tests.unit.geometry.test_scan_io import FACES, VERTICES, files
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from facewright.core.errors import ScanError
from facewright.geometry.scan import ScanLimits
from facewright.geometry.scan_io import read_scan


def test_declared_counts_take_no_memory(tmp_path: Path) -> None:
    header = b"ply\nformat binary_little_endian 1.0\nelement vertex %d\nproperty float x\nproperty float y\n"
    header += b"property float z\nend_header\n"
    (tmp_path / "a.ply").write_bytes(header % 10_000_000)
    with pytest.raises(ScanError, match="cut short"):
        read_scan(tmp_path / "a.ply")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vertices.npy", bytes(1 << 20))
    (tmp_path / "b.npz").write_bytes(bomb.getvalue())
    with pytest.raises(ScanError, match="unpacks"):
        read_scan(tmp_path / "b.npz", ScanLimits(max_bytes=1 << 18))
    (tmp_path / "c.stl").write_bytes(bytes(80) + struct.pack("<I", 1 << 31))
    with pytest.raises(ScanError, match="triangles"):
        read_scan(tmp_path / "c.stl")


@pytest.mark.parametrize(
    ("name", "line", "head", "most"),
    [
        ("a.obj", "v\n", "", 4),
        ("b.obj", "v 1 1 1\n", "", 15),
        ("c.obj", "usemtl a\n", "v 1 1 1\n", 4),
        ("d.xyz", "1 1 1\n", "", 20),
        ("e.off", "1 1 1\n", "OFF\n20000 0 0\n", 30),
    ],
)
def test_small_lines_take_little_memory(name: str, line: str, head: str, most: int, tmp_path: Path) -> None:
    (tmp_path / name).write_text(head + line)
    _refused(tmp_path / name)  # what is imported is not counted
    (tmp_path / name).write_text(head + 20_000 * line)
    tracemalloc.start()
    try:
        _refused(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < most * 20_000 * len(line)
    finally:
        tracemalloc.stop()


def tree_of(data: bytes) -> dict:
    return json.loads(data[20 : 20 + struct.unpack_from("<I", data, 12)[0]])


def with_tree(data: bytes, changed: dict) -> bytes:
    text = json.dumps(changed).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + struct.unpack_from("<I", data, 12)[0] :]
    head = struct.pack("<4sII", b"glTF", 2, 20 + len(text) + len(rest))
    return head + struct.pack("<I4s", len(text), b"JSON") + text + rest


def test_a_glb_that_multiplies_itself_is_refused(tmp_path: Path) -> None:
    data = files()["scan.glb"]
    tree = tree_of(data)

    def told(match: str, limits: ScanLimits | None = None, **changes) -> None:
        (tmp_path / "a.glb").write_bytes(with_tree(data, {**tree, **changes}))
        with pytest.raises(ScanError, match=match):
            read_scan(tmp_path / "a.glb", limits)

    (tmp_path / "same.glb").write_bytes(with_tree(data, tree))
    tight = ScanLimits(max_vertices=4, max_faces=3)
    assert len(read_scan(tmp_path / "same.glb", tight).faces) == 3  # the control
    told("two parents", nodes=[*tree["nodes"], {"children": [0, 0]}])
    told("at most", accessors=[{**accessor, "count": 10**12} for accessor in tree["accessors"]])
    primitive = tree["meshes"][0]["primitives"][0]
    positions = tree["accessors"][primitive["attributes"]["POSITION"]]
    more, number = tree["accessors"], len(tree["accessors"])
    nothing = {"componentType": 5125, "type": "SCALAR", "count": 9}
    told(
        "has no data", accessors=[*more, nothing], meshes=[{"primitives": [{**primitive, "indices": number}]}]
    )
    # Indices count as well, for each primitive and each node.
    points = [{**primitive, "attributes": {"POSITION": primitive["attributes"]["POSITION"]}}] * 2
    told("6 faces", ScanLimits(max_faces=5), meshes=[{"primitives": points}])
    told("6 faces", ScanLimits(max_faces=5), nodes=[*tree["nodes"], {"mesh": 0}])
    told("bytes of data", accessors=[*tree["accessors"], *[{**positions, "count": 999}] * 9])
    told("bytes of data", bufferViews=[*tree["bufferViews"], {"buffer": 0, "byteLength": 99999}])
    uneven = {**primitive, "attributes": {**primitive["attributes"], "NORMAL": number}}
    short = {**positions, "count": 1}
    told("different lengths", accessors=[*more, short], meshes=[{"primitives": [uneven]}])
    told("in the file itself", buffers=[{"byteLength": 4, "uri": "b.bin"}])


def textured(picture: Image.Image) -> trimesh.Trimesh:
    material = PBRMaterial(baseColorTexture=picture)
    visual = TextureVisuals(uv=VERTICES[:, :2] / 8, material=material)
    return trimesh.Trimesh(VERTICES, FACES, visual=visual, process=False)


def test_textures_of_glb_and_ply_are_counted_before_they_are_decoded(tmp_path: Path) -> None:
    picture = Image.new("RGB", (8, 4), (9, 8, 7))
    path = tmp_path / "scan.glb"
    path.write_bytes(data := bytes(textured(picture).export(file_type="glb")))  # pyright: ignore[reportArgumentType]
    texture = read_scan(path, ScanLimits(max_texture_pixels=32)).texture
    assert texture is not None
    assert texture.shape == (4, 8, 3)
    with pytest.raises(ScanError, match="32 pixels: at most 31"):
        read_scan(path, ScanLimits(max_texture_pixels=31))
    tree = tree_of(data)
    path.write_bytes(with_tree(data, {**tree, "images": tree["images"] * 2}))
    with pytest.raises(ScanError, match="64 pixels: at most 63"):
        read_scan(path, ScanLimits(max_texture_pixels=63))
    stream = io.BytesIO()
    picture.save(stream, "EPS")  # which Pillow hands to another program
    uri = "data:application/postscript;base64," + base64.b64encode(stream.getvalue()).decode()
    path.write_bytes(with_tree(data, {**tree, "images": [{"uri": uri}]}))
    with pytest.raises(ScanError, match="is EPS: expected one of JPEG PNG"):
        read_scan(path)
    ply = bytes(textured(picture).export(file_type="ply", encoding="ascii"))  # pyright: ignore[reportArgumentType]
    ply = ply.replace(b"format ascii 1.0", b"format ascii 1.0\ncomment TextureFile t.png")
    (tmp_path / "scan.ply").write_bytes(ply)
    scan = read_scan(tmp_path / "scan.ply")
    assert scan.texture is None  # and not the grey that trimesh would take
    assert any("not beside the scan" in note for note in scan.notes)
    picture.save(tmp_path / "t.png")
    assert read_scan(tmp_path / "scan.ply").texture is not None
    scan = read_scan(tmp_path / "scan.ply", ScanLimits(max_texture_pixels=31))
    assert scan.texture is None
    assert any("at most 31" in note for note in scan.notes)


@pytest.mark.parametrize("name", sorted(files()))
def test_damage_is_an_error_or_a_whole_scan(name: str, tmp_path: Path) -> None:
    whole, generator = files()[name], np.random.default_rng(5)
    path = tmp_path / name
    refused = 0
    for _ in range(12):
        data = bytearray(whole[: generator.integers(1, len(whole))])
        path.write_bytes(bytes(data))
        refused += _refused(path)
        data = bytearray(whole)
        for place in generator.integers(0, len(whole), 6):
            data[place] = generator.integers(0, 256)
        path.write_bytes(bytes(data))
        _refused(path)
    assert refused >= 6  # text that lost only its last digits may still be whole


def _refused(path: Path) -> bool:
    try:
        scan = read_scan(path)
    except ScanError:
        return True
    assert np.isfinite(scan.vertices).all()
    assert scan.faces.size == 0 or scan.faces.max() < len(scan.vertices)
    return False
