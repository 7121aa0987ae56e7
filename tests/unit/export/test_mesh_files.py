"""OBJ and PLY through another project's readers; files appear whole or not at all."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from facewright.core.errors import InputError, OutputError
from facewright.export import texture_from_linear, write_obj, write_ply, write_png
from facewright.geometry.mesh import Mesh


@pytest.fixture
def mesh(miniature):
    return Mesh(miniature.mean, miniature.topology)


def obj_rows(path, keyword):
    lines = [line.split()[1:] for line in path.read_text().splitlines() if line.startswith(keyword + " ")]
    return np.array([[float(value) for value in line] for line in lines])


def test_obj_keeps_vertices_faces_and_texture_coordinates(mesh, miniature, texture, tmp_path):
    write_obj(tmp_path / "head.obj", mesh, texture, parts=miniature.parts)
    np.testing.assert_allclose(obj_rows(tmp_path / "head.obj", "v"), mesh.vertices, atol=1e-5)
    np.testing.assert_allclose(obj_rows(tmp_path / "head.obj", "vt"), mesh.topology.uv, atol=1e-6)
    loaded = trimesh.load_mesh(tmp_path / "head.obj", process=False)
    assert len(loaded.faces) == len(mesh.topology.faces)
    assert loaded.area == pytest.approx(trimesh.Trimesh(mesh.vertices, mesh.topology.faces).area, rel=1e-4)


def test_obj_texture_reaches_the_reader_the_right_way_up(mesh, texture, tmp_path):
    write_obj(tmp_path / "head.obj", mesh, texture)
    loaded = trimesh.load_mesh(tmp_path / "head.obj", process=False)
    visual: Any = loaded.visual
    colours = visual.to_color().vertex_colors
    # The crown of the skin has v = 1 (greenish rows on top); the eyes lie at v < 0.3 (reddish rows below).
    assert colours[np.argmax(loaded.vertices[:, 1])][:3].tolist() == [120, 200, 120]
    lowest = np.argmin(visual.uv[:, 1])
    assert colours[lowest][:3].tolist() == [200, 120, 120]


def test_obj_names_its_map_of_normals(mesh, texture, tmp_path):
    write_obj(tmp_path / "head.obj", mesh, texture, normals=texture)
    assert "norm normal.png" in (tmp_path / "head.mtl").read_text().splitlines()
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "normal.png")), texture)
    (tmp_path / "smooth").mkdir()
    write_obj(tmp_path / "smooth/head.obj", mesh, texture)
    assert sorted(path.name for path in (tmp_path / "smooth").iterdir()) == [
        "albedo.png",
        "head.mtl",
        "head.obj",
    ]
    assert "norm" not in (tmp_path / "smooth/head.mtl").read_text()


def test_obj_without_texture_names_no_material(mesh, tmp_path):
    write_obj(tmp_path / "head.obj", mesh)
    assert [path.name for path in tmp_path.iterdir()] == ["head.obj"]
    assert "mtl" not in (tmp_path / "head.obj").read_text()


def test_ply_round_trip(mesh, tmp_path):
    colours = torch.randint(
        0, 256, mesh.vertices.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    write_ply(tmp_path / "head.ply", mesh, colours)
    loaded = trimesh.load_mesh(tmp_path / "head.ply", process=False)
    np.testing.assert_array_equal(np.float32(loaded.vertices), mesh.vertices)
    np.testing.assert_array_equal(loaded.faces, mesh.topology.faces)
    visual: Any = loaded.visual
    np.testing.assert_array_equal(visual.vertex_colors[:, :3], colours)


def test_png_round_trip_and_encoding(tmp_path):
    texture = texture_from_linear(torch.tensor([[[0.0, 0.5, 1.0], [0.0031308, 2.0, -1.0]]]))
    write_png(tmp_path / "map.png", texture)
    read = np.asarray(Image.open(tmp_path / "map.png"))
    np.testing.assert_array_equal(read, [[[0, 188, 255], [10, 255, 0]]])  # IEC 61966-2-1: 0.5 -> 188


def test_a_point_outside_the_vertices_is_refused(mesh, tmp_path):
    faces = mesh.topology.faces.clone()
    faces[0, 0] = len(mesh.vertices)
    broken = Mesh(mesh.vertices, replace(mesh.topology, faces=faces))
    for write, name in ((write_obj, "a.obj"), (write_ply, "a.ply")):
        with pytest.raises(InputError, match="indices"):
            write(tmp_path / name, broken)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_nothing_and_harms_nothing(mesh, tmp_path, monkeypatch):
    path = tmp_path / "head.ply"
    write_ply(path, mesh)
    before = path.read_bytes()

    def full_disk(self, content):
        self.open("wb").write(content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full_disk)
    with pytest.raises(OutputError, match=r"head\.ply"):
        write_ply(path, Mesh(mesh.vertices * 2, mesh.topology))
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["head.ply"]
