"""Scan files: what each kind gives, and what damaged or hostile ones are told."""

import io
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from facewright.core.errors import ScanError
from facewright.geometry.scan_io import read_scan, scan_suffixes

# A tetrahedron without its base: four vertices, three faces; coordinates that floats hold exactly.
VERTICES = np.array([[0.0, 0.0, 0.0], [8.0, 0.0, 0.0], [0.0, 8.0, 0.0], [0.5, 0.25, 4.0]])
FACES = np.array([[0, 1, 3], [1, 2, 3], [2, 0, 3]])
COLORS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 20, 30]], dtype=np.uint8)

OBJ = "\n".join(
    ["mtllib m.mtl", "usemtl skin"]
    + [f"v {x} {y} {z}" for x, y, z in VERTICES]
    + ["vt 0 0", "vt 1 0", "vt 0 1", "vt .5 .5", "vt 1 1"]
    + ["f 1/1 2/2 4/4", "f 2/2/1 3/3/1 4/4/1", "f -2/3 -4/5 -1/4"]
)
VTK = "\n".join(
    ["# vtk DataFile Version 3.0", "t", "ASCII", "DATASET POLYDATA", "POINTS 4 float"]
    + [f"{x} {y} {z}" for x, y, z in VERTICES]
    + ["POLYGONS 3 12", *(f"3 {a} {b} {c}" for a, b, c in FACES), "POINT_DATA 4"]
    + ["TEXTURE_COORDINATES t 2 float", "0 0", "1 0", "0 1", ".5 .5"]
    + ["COLOR_SCALARS rgb 3", *(" ".join(str(v / 255) for v in row) for row in COLORS), ""]
)
OFF = "\n".join(
    ["OFF # comment", "4 3 0", *(f"{x} {y} {z}" for x, y, z in VERTICES)]
    + [f"3 {a} {b} {c}" for a, b, c in FACES]
)
XYZ = "\n".join(
    f"{x} {y} {z} {r} {g} {b}" for (x, y, z), (r, g, b) in zip(VERTICES, COLORS.tolist(), strict=True)
)


def files() -> dict[str, bytes]:
    """One small scan in each kind of file."""
    mesh = trimesh.Trimesh(VERTICES, FACES, vertex_colors=COLORS, process=False)
    npz = io.BytesIO()
    np.savez(npz, vertices=VERTICES.astype(np.float32), faces=FACES.astype(np.int32), colors=COLORS)
    binary = VTK.split("POINTS")[0].replace("ASCII", "BINARY").encode() + b"POINTS 4 double\n"
    binary += VERTICES.astype(">f8").tobytes() + b"\nPOLYGONS 3 12\n"
    binary += np.insert(FACES, 0, 3, axis=1).astype(">i4").tobytes() + b"\n"
    exported = {
        "scan.ply": mesh.export(file_type="ply"),
        "text.ply": mesh.export(file_type="ply", encoding="ascii"),
        "scan.stl": mesh.export(file_type="stl"),
        "text.stl": str(mesh.export(file_type="stl_ascii")).encode(),
        "scan.glb": mesh.export(file_type="glb"),
    }
    texts = {"scan.obj": OBJ, "scan.vtk": VTK, "scan.off": OFF}
    return {
        **exported,
        **{name: text.encode() for name, text in texts.items()},
        "binary.vtk": binary,
        "scan.npz": npz.getvalue(),
    }


@pytest.mark.parametrize("name", sorted(files()))
def test_every_kind_gives_the_same_surface(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(files()[name])
    scan = read_scan(tmp_path / name)
    # STL and GLB may number vertices anew: compare where the corners are.
    np.testing.assert_allclose(scan.vertices[scan.faces], VERTICES[FACES], atol=1e-5)
    assert len(scan.vertices) == 4
    if not name.endswith(".stl"):
        np.testing.assert_array_equal(scan.vertices, VERTICES)
    if name in ("scan.ply", "text.ply", "scan.glb", "scan.npz", "scan.vtk"):
        assert scan.colors is not None
        np.testing.assert_array_equal(scan.colors, COLORS)


def test_every_known_suffix_is_tried_above() -> None:
    assert {Path(name).suffix for name in files()} | {".xyz"} == scan_suffixes()


def test_points_without_faces_keep_their_colours(tmp_path: Path) -> None:
    (tmp_path / "cloud.xyz").write_text(f"// x y z r g b\n4\n\n # c\r\n{XYZ.replace(' ', ', ', 3)}\n")
    scan = read_scan(tmp_path / "cloud.xyz")
    assert scan.faces.shape == (0, 3)
    np.testing.assert_array_equal(scan.vertices, VERTICES)
    assert scan.colors is not None
    np.testing.assert_array_equal(scan.colors, COLORS)


@pytest.mark.parametrize("suffix", [".obj", ".off", ".vtk", ".xyz"])
def test_texts_are_read_to_their_last_digit(suffix: str, tmp_path: Path) -> None:
    # What np.savetxt writes by default has 25 characters where it is negative, the exponent last.
    vertices = np.random.default_rng(3).normal(size=(30, 3)) * [-1e-7, 1e2, -1e12]
    stream = io.BytesIO()
    np.savetxt(stream, vertices)
    points = stream.getvalue().decode()
    assert max(len(word) for word in points.split()) == 25
    first = "0" * 24  # as many characters before the digit of an index
    text = {
        ".obj": "v "
        + points.strip().replace("\n", "\nv ")
        + f"\nf {first}1/1 2/2 {first}3/3\nvt 0 0\nvt 0 1\nvt 1 1",
        ".off": f"OFF\n30 1 0\n{points}3 {first}0 1 {first}2",
        ".vtk": f"# vtk DataFile Version 3.0\nt\nASCII\nDATASET POLYDATA\nPOINTS 30 double\n{points}"
        f"POLYGONS 1 4\n3 {first}0 1 {first}2",
        ".xyz": points,
    }
    (tmp_path / f"a{suffix}").write_text(text[suffix])
    scan = read_scan(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(scan.vertices, vertices if suffix == ".xyz" else vertices[:3])
    assert scan.faces.tolist() == ([] if suffix == ".xyz" else [[0, 1, 2]])


def test_obj_brings_its_texture(tmp_path: Path) -> None:
    (tmp_path / "scan.obj").write_text(OBJ)
    (tmp_path / "m.mtl").write_text("newmtl skin\nmap_Kd my picture.png\n")
    Image.new("RGB", (3, 2), (9, 8, 7)).save(tmp_path / "my picture.png")
    scan = read_scan(tmp_path / "scan.obj")
    assert scan.texture is not None
    assert scan.texture.shape == (2, 3, 3)
    assert scan.texture[0, 0].tolist() == [9, 8, 7]
    assert scan.uv_faces is not None
    assert scan.uv_faces.tolist() == [[0, 1, 3], [1, 2, 3], [2, 4, 3]]
    assert scan.notes == ()


def test_obj_takes_the_materials_of_its_faces(tmp_path: Path) -> None:
    for number in (1, 2):
        Image.new("RGB", (2, 2), (number, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "m.mtl").write_text("newmtl skin\nmap_Kd 1.png\nnewmtl eyes\nmap_Kd 2.png\n")
    path = tmp_path / "scan.obj"
    path.write_text(OBJ.replace("usemtl skin", "usemtl eyes\nusemtl skin") + "\nusemtl eyes\n")
    texture = read_scan(path).texture
    assert texture is not None  # that of skin: eyes is named, but no face has it
    assert texture[0, 0].tolist() == [1, 0, 0]
    path.write_text(OBJ.replace("f -2", "usemtl eyes\nf -2"))
    assert "2 textures" in read_scan(path).notes[0]
    path.write_text(OBJ.replace("f 2/2/1 3/3/1 4/4/1", "f 2//1 3//1 4//1"))
    scan = read_scan(path)
    assert scan.faces.tolist() == FACES.tolist()
    assert scan.uv is None
    assert "no texture coordinates" in scan.notes[0]


@pytest.mark.parametrize(
    "named", ["../secret.png", "{folder}/secret.png", "C:\\secret.png", "inside/link.png"]
)
def test_no_file_outside_of_the_folder_is_read(named: str, tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "secret.png")
    folder = tmp_path / "scans"
    (folder / "inside").mkdir(parents=True)
    (folder / "inside" / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "scan.obj").write_text(OBJ)
    (folder / "m.mtl").write_text(f"newmtl skin\nmap_Kd {named.format(folder=tmp_path)}\n")
    scan = read_scan(folder / "scan.obj")
    assert scan.texture is None
    assert any("outside" in note for note in scan.notes)
    # The control: the same picture inside of the folder is read.
    Image.new("RGB", (2, 2)).save(folder / "inside" / "open.png")
    (folder / "m.mtl").write_text("newmtl skin\nmap_Kd inside/open.png\n")
    assert read_scan(folder / "scan.obj").texture is not None


def test_polygons_become_fans_and_loose_vertices_go(tmp_path: Path) -> None:
    text = "v 9 9 9\nv 0 0 0 1 0 0\nv 1 0 0 0 1 0\nv 1 1 0 0 0 1\nv 0 1 0 1 1 1\nf 2 3 4 5\nf 2 2 3\n"
    (tmp_path / "quad.obj").write_text(text.replace("v 9 9 9\n", "v 9 9 9 0 0 0\n"))
    scan = read_scan(tmp_path / "quad.obj")
    assert scan.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert scan.file_vertex.tolist() == [1, 2, 3, 4]
    assert scan.colors is not None
    assert scan.colors[1].tolist() == [0, 255, 0]


RING = [[np.cos(a), np.sin(a), 0.5 * a] for a in np.arange(9.0)]
POLYGONS = [[0, 1, 2], [3, 4, 5, 6], [8, 7, 6], [0, 2, 4, 6, 8], [1, 2, 3, 4]]
FANS = [[0, 1, 2], [3, 4, 5], [3, 5, 6], [8, 7, 6], [0, 2, 4], [0, 4, 6], [0, 6, 8], [1, 2, 3], [1, 3, 4]]
STRIPS = [[0, 1, 2], [3, 4, 5], [6, 5, 4], [8, 7, 6], [0, 2, 4], [6, 4, 2], [4, 6, 8], [1, 2, 3], [4, 3, 2]]


@pytest.mark.parametrize("kind", ["OFF", "POLYGONS", "BINARY POLYGONS", "TRIANGLE_STRIPS", "obj"])
@pytest.mark.parametrize("alike", [False, True])
def test_polygons_of_any_size_keep_their_order(kind: str, alike: bool, tmp_path: Path) -> None:
    rows = [POLYGONS[1], POLYGONS[4]] if alike else POLYGONS
    points = "\n".join(" ".join(str(value) for value in point) for point in RING) + "\n"
    cells = [number for row in rows for number in (len(row), *row)]
    faces = "".join(f"{len(row)} {' '.join(map(str, row))}\n" for row in rows)
    head = f"# vtk DataFile Version 3.0\nt\n%s\nDATASET POLYDATA\nPOINTS {len(RING)} double\n"
    key = f"{kind.split()[-1]} {len(rows)} {len(cells)}\n"
    if kind == "OFF":  # colours of the faces and edges do no harm
        data = f"OFF {len(RING)} {len(rows)} 0\n{points}{faces}".replace("4 3 4 5 6", "4 3 4 5 6 .5 .5 1 1")
        data = (data + "2 edge\n").encode()
    elif kind == "obj":
        text = "v " + points.strip().replace("\n", "\nv ")
        data = "\n".join([text, *("f " + " ".join(str(i + 1) for i in row) for row in rows)]).encode()
    elif kind.startswith("BINARY"):
        data = (head % "BINARY").encode() + np.array(RING, ">f8").tobytes() + b"\n" + key.encode()
        data += np.array(cells, ">i4").tobytes() + b"\n"
    else:
        data = (head % "ASCII" + points + key + faces + "CELL_DATA 3\n").encode()
    path = tmp_path / f"a.{'vtk' if ' ' in kind or '_' in kind or kind == 'POLYGONS' else kind.lower()}"
    path.write_bytes(data)
    told = STRIPS if kind == "TRIANGLE_STRIPS" else FANS
    scan = read_scan(path)
    expected = [told[1], told[2], told[7], told[8]] if alike else told
    np.testing.assert_array_equal(scan.file_vertex[scan.faces], expected)


def test_a_stray_nan_that_no_face_uses_does_no_harm(tmp_path: Path) -> None:
    text = "v nan 0 0\nv 0 0 0\nv 1 0 0\nv 1 1 0\nf 2 3 4\n"
    (tmp_path / "a.obj").write_text(text)
    assert len(read_scan(tmp_path / "a.obj").vertices) == 3
    (tmp_path / "b.obj").write_text(text.replace("f 2", "f 1"))
    with pytest.raises(ScanError, match="NaN"):
        read_scan(tmp_path / "b.obj")


BAD = {
    "empty.obj": (b"", "empty"),
    "range.obj": (OBJ.replace("f 1/1", "f 9/1").encode(), "vertices 0 to 8, but it has 0 to 3"),
    "uvrange.obj": (OBJ.replace("f 1/1", "f 1/77").encode(), "texture coordinates"),
    "zero.obj": (OBJ.replace("f 1/1", "f 0/1").encode(), "counts from 1"),
    "faceless.obj": (b"# nothing\n", "no vertex"),
    "words.obj": (b"v a b c\n", "no number"),
    "short.obj": (OBJ[:-6].encode(), "damaged or cut short"),
    "flat.obj": (b"v 0 0 0\nv 1 0 0\nf 1 2 1\n", "three different corners"),
    "mixed.obj": (OBJ.replace("f 1/1 2/2", "f 1/1 2").encode(), "not of one kind"),
    "hollow.obj": (OBJ.replace("f 1/1 2/2 4/4", "f 1/ 2/ 4/").encode(), "not of one kind"),
    "shifted.obj": (OBJ.replace("f 1/1 2/2 4/4", "f 1 2/2/4 4/4").encode(), "not of one kind"),
    "hole.obj": (OBJ.replace("vt 0 0", "v\nvt 0 0").encode(), "line 'v' is empty"),
    "grid.vtk": (VTK.replace("POLYDATA", "STRUCTURED_GRID").encode(), "POLYDATA"),
    "huge.vtk": (VTK.replace("POINTS 4", "POINTS 40000000000").encode(), "at most"),
    "half.off": (OFF.replace("3 0 1 3", "3 0 1.5 3").encode(), "no whole number"),
    "corners.off": (OFF.replace("3 0 1 3", "9 0 1 3").encode(), "face 0 declares 9 corners in a line of 4"),
    "flat.off": (b"OFF 3 1 0\n0 0\n1 0\n0 1\n3 0 1 2\n", "a vertex has 2 numbers"),
    "more.vtk": (VTK.replace("POLYGONS", "0 0 0\nPOLYGONS").encode(), "expected 12 numbers"),
    "cells.vtk": (VTK.replace("3 0 1 3", "4 0 1 3").encode(), "fewer than three corners"),
    "cellhuge.vtk": (VTK.replace("POLYGONS 3", "POLYGONS 39000000").encode(), "fewer than three corners"),
    "half.vtk": (VTK.replace("3 0 1 3", "3 0 1.5 3").encode(), "'1.5' is no number"),
    "short.off": (OFF[:-10].encode(), "cut short"),
    "odd.xyz": (b"1 2 3\n4 5\n", "same three"),
    "ragged.xyz": (b"1 2 3\n4 5\n6 7 8 9\n", "same three"),
    "words.xyz": (b"1 2 3\n4 5 6x\n", "'6x' is no number"),
    "nan.npz": (None, "NaN"),
    "pickle.npz": (None, "damaged"),
    "what.max": (b"x", "expected a file that ends in"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_what_is_wrong_is_said(name: str, tmp_path: Path) -> None:
    data, told = BAD[name]
    if data is None:
        stream = io.BytesIO()
        bad = np.full((3, 3), np.nan) if name == "nan.npz" else np.array([[object()] * 3])
        np.savez(stream, allow_pickle=True, vertices=bad)
        data = stream.getvalue()
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ScanError, match=told) as caught:
        read_scan(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.shared
def test_the_real_scans_are_read(shared_folder: Path) -> None:
    counts = {"humface": 10319, "james_3dmd": 6339, "leeperrysmith": 8838, "vtk_fran": 2205}
    for folder, count in counts.items():
        scan = read_scan(shared_folder / "data" / "scans" / folder / "scan.obj")
        assert len(scan.vertices) == count
        assert (scan.texture is not None) == (folder not in ("humface",))
    assert len(read_scan(shared_folder / "data" / "scans" / "sven_truedepth" / "scan.npz").faces) == 142659
