"""Each importer on a miniature raw file in the true layout, traps included, and the checks' controls."""

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat
from tests.unit.models.raw_head import RawHead, raw_head

from facewright.core.errors import AssetError
from facewright.models.face_model import FaceModel
from facewright.models.importers.albedo_mm import read_albedo_mm
from facewright.models.importers.basel_2009 import read_basel_2009
from facewright.models.importers.basel_hdf5 import read_basel_hdf5
from facewright.models.importers.ict import read_ict
from facewright.models.importers.raw import RawModel, face_model
from facewright.models.importers.statismo import NAMED
from facewright.models.importers.surrey import read_surrey
from facewright.models.storage import ModelOrigin, load_face_model, save_face_model

h5py = pytest.importorskip("h5py")
HEAD = raw_head()
LINEAR = ((HEAD.colour + 0.055) / 1.055) ** 2.4


def basel_2009_file(path: Path, head: RawHead = HEAD, **changes) -> Path:
    flat = {
        "shapeMU": (head.mean * 1e3).reshape(-1, 1),
        "shapePC": head.directions,
        "shapeEV": (head.deviations * 1e3)[:, None],
        "texMU": (head.colour * 255).reshape(-1, 1),
        "texPC": head.colour_directions,
        "texEV": (head.colour_deviations * 255)[:, None],
    }
    stored = {name: value.astype(np.float32, order="F") for name, value in flat.items()}
    stored["tl"] = head.faces[:, [0, 2, 1]].astype(np.float64) + 1
    savemat(path, {**stored, "segbin": np.zeros((4, 4), dtype=np.uint8), **changes}, do_compression=True)
    return path


def write_part(stored, name: str, head: RawHead, mean, basis, deviations, old: bool = False) -> None:
    group = stored.create_group(name)
    columns = basis * deviations if old else basis
    group["model/mean"] = mean.ravel().astype(np.float32)
    group["model/pcaBasis"] = columns.astype(np.float32)
    group["model/pcaVariance"] = (deviations**2).astype(np.float32)
    group["model/noiseVariance"] = np.zeros(1, dtype=np.float32)
    group["representer/cells"] = head.faces.T.astype(np.int32)
    group["representer/points"] = head.mean.T.astype(np.float32)


def basel_hdf5_file(path: Path, head: RawHead = HEAD, *, old: bool = False, landmarks: bool = True) -> Path:
    with h5py.File(path, "w") as stored:
        write_part(stored, "shape", head, head.mean, head.directions, head.deviations, old)
        write_part(stored, "color", head, head.colour, head.colour_directions, head.colour_deviations, old)
        moved = 0.5 * head.expression[:, 0] * head.expression_deviations[0]
        write_part(stored, "expression", head, moved, head.expression, head.expression_deviations, old)
        if landmarks:
            listed = [
                {"id": name, "coordinates": (head.mean[head.anchors[number]] + 1e-4).tolist()}
                for name, number in NAMED.items()
                if number in head.anchors
            ]
            listed.append({"id": "left.ear.tragus.tip", "coordinates": [70.0, 0.0, 0.0]})
            stored["metadata/landmarks/json"] = np.bytes_(json.dumps(listed))
    return path


def albedo_files(folder: Path, head: RawHead = HEAD, faces: np.ndarray = HEAD.faces) -> tuple[Path, Path]:
    path = folder / "albedo.h5"
    with h5py.File(path, "w") as stored:
        one = head.directions[:, :1]
        nonsense = np.random.default_rng(0).standard_normal(head.mean.shape)
        write_part(stored, "shape", head, nonsense, one, np.array([0.1]))
        other = replace(head, faces=faces)
        write_part(stored, "diffuseAlbedo", other, LINEAR, head.colour_directions, head.colour_deviations)
        grey = np.full_like(LINEAR, 0.2)
        write_part(stored, "specularAlbedo", other, grey, head.colour_directions, head.colour_deviations)
    return path, basel_hdf5_file(folder / "shape.h5", head)


def matrix_bytes(matrix: np.ndarray) -> bytes:
    return struct.pack("<ii", *matrix.shape) + matrix.astype("<f4").tobytes(order="F")


def triangles_bytes(faces: np.ndarray) -> bytes:
    return struct.pack("<Q", len(faces)) + faces.astype("<i4").tobytes()


def pca_bytes(mean: np.ndarray, basis: np.ndarray, deviations: np.ndarray, faces: np.ndarray) -> bytes:
    columns = (mean.reshape(-1, 1), basis, (deviations**2).reshape(-1, 1))
    return b"".join(matrix_bytes(matrix) for matrix in columns) + triangles_bytes(faces)


EMPTY_PCA = matrix_bytes(np.zeros((0, 1))) + matrix_bytes(np.zeros((0, 0))) + matrix_bytes(np.zeros((0, 1)))
EMPTY_PCA += triangles_bytes(np.zeros((0, 3)))


def blendshape_bytes(head: RawHead) -> bytes:
    text = struct.pack("<Q", 1) + struct.pack("<Q", 5) + b"happy"
    return text + matrix_bytes(head.expression[:, :1] * head.expression_deviations[0])


def surrey_file(path: Path, head: RawHead = HEAD, version: int = 4) -> Path:
    data = struct.pack("<I", version) + pca_bytes(head.mean, head.directions, head.deviations, head.faces)
    if version == 1:
        path.write_bytes(data + EMPTY_PCA + struct.pack("<Q", 0))
        return path
    data += pca_bytes(head.colour, head.colour_directions, head.colour_deviations, head.faces)
    data += struct.pack("<?i", False, 1) + blendshape_bytes(head)
    data += struct.pack("<?Q", False, 1) + struct.pack("<Q", 4) + b"chin" + struct.pack("<i", 3)
    upside_down = head.uv * (1, -1) + (0, 1)
    data += struct.pack("<Q", len(head.uv)) + upside_down.astype("<f8").tobytes()
    path.write_bytes(data + triangles_bytes(head.uv_faces))
    return path


def quads(faces: np.ndarray) -> np.ndarray:
    """The first two triangles as a quad if they can be, the others filled up with -1."""
    return np.concatenate([faces, np.full((len(faces), 1), -1)], axis=1).astype(np.int32)


def ict_file(path: Path, head: RawHead = HEAD) -> Path:
    np.savez(
        path,
        neutral=(head.mean / 10).astype(np.float32),
        uv=(head.uv * (7.0, 1.0)).astype(np.float32),
        polygons=quads(head.faces),
        polygons_uv=quads(head.uv_faces),
        identity=(head.identity / 10).astype(np.float16),
        expression=(head.expression * head.expression_deviations).T.reshape(2, -1, 3).astype(np.float16) / 10,
        identity_names=np.array(["identity000"]),
        expression_names=np.array(["jawOpen", "mouthSmile_L"]),
    )
    return path


def obj_text(vertices: np.ndarray, head: RawHead) -> str:
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices / 10]
    lines += [f"vt {u:.6f} {v:.6f}" for u, v in head.uv]
    corners = np.stack([head.faces, head.uv_faces], axis=2) + 1
    return "\n".join(lines + ["f " + " ".join(f"{a}/{b}" for a, b in row) for row in corners]) + "\n"


def ict_folder(folder: Path, head: RawHead = HEAD) -> Path:
    folder.mkdir()
    moves = {f"identity{number:03d}": move for number, move in enumerate(head.identity)}
    moves["jawOpen"] = (head.expression[:, 0] * head.expression_deviations[0]).reshape(-1, 3)
    (folder / "generic_neutral_mesh.obj").write_text(obj_text(head.mean, head))
    (folder / "sphere.obj").write_text("v 0 0 0\n")
    (folder / "vertex_indices.json").write_text('{"expressions": ["jawOpen"]}')
    for name, move in moves.items():
        (folder / f"{name}.obj").write_text(obj_text(head.mean + move, head))
    return folder


Reader = Callable[[Path, RawHead], RawModel]
READERS: dict[str, Reader] = {
    "bfm2009": lambda f, h: read_basel_2009(basel_2009_file(f / "a.mat", h), anchors=h.anchors),
    "bfm2017": lambda f, h: read_basel_hdf5(basel_hdf5_file(f / "a.h5", h), year=2017),
    "bfm2019": lambda f, h: read_basel_hdf5(basel_hdf5_file(f / "b.h5", h, old=True), year=2019),
    "albedo_mm": lambda f, h: read_albedo_mm(albedo_files(f, h)[0], shape=f / "shape.h5"),
    "surrey": lambda f, h: read_surrey(surrey_file(f / "a.bin", h), anchors=h.anchors),
    "ict": lambda f, h: read_ict(ict_file(f / "a.npz", h), anchors=h.anchors),
    "ict folder": lambda f, h: read_ict(ict_folder(f / "ict", h), anchors=h.anchors),
}


@pytest.fixture(params=READERS)
def imported(request: pytest.FixtureRequest, tmp_path: Path) -> FaceModel:
    return face_model(READERS[request.param](tmp_path, HEAD), tmp_path)


def test_the_numbers_are_those_of_the_head(imported: FaceModel, tmp_path: Path) -> None:
    assert np.allclose(imported.mean, HEAD.mean, atol=0.05)
    assert np.array_equal(imported.topology.faces, HEAD.faces)
    scale = np.abs(HEAD.identity).max()
    assert np.allclose(imported.identity_basis, HEAD.identity, atol=0.002 * scale)
    assert not np.allclose(imported.identity_basis, HEAD.identity * 1.1, atol=0.002 * scale)
    assert torch.equal(imported.mirror[imported.mirror], torch.arange(len(HEAD.mean)))
    assert float((imported.mirror != torch.arange(len(HEAD.mean))).float().mean()) > 0.8
    assert imported.landmark_points(imported.mean, "now7").shape == (7, 3)
    assert imported.eye_centers[0, 0] > 20
    assert imported.eye_centers[1, 0] < -20
    save_face_model(tmp_path / "model.safetensors", imported, ModelOrigin("test", "test", "test"))
    assert load_face_model(tmp_path / "model.safetensors").name == imported.name


@pytest.mark.parametrize("name", ["bfm2009", "bfm2017", "bfm2019", "albedo_mm", "surrey"])
def test_colours_are_linear(name: str, tmp_path: Path) -> None:
    model = face_model(READERS[name](tmp_path, HEAD), tmp_path)
    assert np.allclose(model.diffuse_mean, LINEAR, atol=1e-5)
    step = 1e-3 * HEAD.colour_directions[:, 0] * HEAD.colour_deviations[0]
    moved = ((HEAD.colour + step.reshape(-1, 3) + 0.055) / 1.055) ** 2.4
    if name == "albedo_mm":
        assert np.allclose(model.specular_mean, 0.2, atol=1e-6)
        moved = LINEAR + step.reshape(-1, 3)
    assert np.allclose(model.diffuse_basis[0] * 1e-3, moved - LINEAR, atol=2e-6)
    assert not np.allclose(model.diffuse_mean, HEAD.colour, atol=0.05)


def test_expressions(tmp_path: Path) -> None:
    expected = (HEAD.expression * HEAD.expression_deviations).T.reshape(2, -1, 3)
    for name, names, offset in (
        ("bfm2017", ("mean_expression", "expression000", "expression001"), 1),
        ("bfm2019", ("mean_expression", "expression000", "expression001"), 1),
        ("surrey", ("happy",), 0),
        ("ict", ("jawOpen", "mouthSmileLeft"), 0),
        ("ict folder", ("jawOpen",), 0),
    ):
        model = READERS[name](tmp_path, HEAD)
        assert model.expression_names == names
        found = model.expression[offset:]
        assert np.allclose(found, expected[: len(found)], atol=0.02)
        if offset:  # the mean of the miniature's expressions is half of its first one
            assert np.allclose(model.expression[0], 0.5 * expected[0], atol=0.02)


def test_texture_coordinates(tmp_path: Path) -> None:
    surrey, ict = (READERS[name](tmp_path, HEAD) for name in ("surrey", "ict"))
    for model, uv in ((surrey, HEAD.uv), (ict, HEAD.uv * (7, 1))):
        assert model.uv is not None
        assert np.allclose(model.uv, uv, atol=1e-5)
        assert model.uv_faces is not None
        assert np.array_equal(model.uv_faces, HEAD.uv_faces)
    bfm = face_model(READERS["bfm2017"](tmp_path, HEAD), tmp_path).topology
    corners = bfm.uv[bfm.uv_faces]
    assert 0 <= corners.min() <= corners.max() <= 1
    assert float((corners.amax(1) - corners.amin(1)).max()) < 0.6  # no triangle reaches around the cut
    assert len(bfm.uv) > len(HEAD.mean)


def test_a_shape_only_surrey_model(tmp_path: Path) -> None:
    (tmp_path / "shapes.bin").write_bytes(blendshape_bytes(HEAD))
    raw = read_surrey(
        surrey_file(tmp_path / "a.bin", version=1),
        blendshapes=tmp_path / "shapes.bin",
        anchors=HEAD.anchors,
    )
    assert raw.expression_names == ("happy",)
    assert raw.diffuse is None
    assert face_model(raw, tmp_path).diffuse_count == 0


def test_landmarks_of_the_basel_files(tmp_path: Path) -> None:
    raw = read_basel_hdf5(basel_hdf5_file(tmp_path / "a.h5"), year=2019)
    assert dict(raw.anchors) == HEAD.anchors
    without = read_basel_hdf5(basel_hdf5_file(tmp_path / "b.h5", landmarks=False), year=2019)
    with pytest.raises(AssetError, match="give landmarks"):
        face_model(without, tmp_path)


def test_an_albedo_for_another_crop_is_refused(tmp_path: Path) -> None:
    path, shape = albedo_files(tmp_path, faces=HEAD.faces[:-1])
    with pytest.raises(AssetError, match="of one crop"):
        read_albedo_mm(path, shape=shape)


def flipped(raw: RawModel) -> RawModel:
    return replace(raw, faces=np.ascontiguousarray(raw.faces[:, ::-1]))


BREAKS: dict[str, tuple[Callable[[RawModel], RawModel], str]] = {
    "metres": (lambda raw: replace(raw, mean=raw.mean / 1000), "mm apart"),
    "micrometres": (lambda raw: replace(raw, mean=raw.mean * 1000), "mm apart"),
    "mirrored": (lambda raw: replace(raw, mean=raw.mean * (-1, 1, 1)), "left eye"),
    "upside down": (lambda raw: replace(raw, mean=raw.mean * (1, -1, 1)), "below the eyes"),
    "inside out": (flipped, "outward"),
    "from behind": (lambda raw: replace(raw, mean=raw.mean * (1, 1, -1)), "in front of"),
    "from 1": (lambda raw: replace(raw, faces=raw.faces + 1), "face indices"),
    "last vertex unused": (
        lambda raw: replace(raw, faces=np.minimum(raw.faces, len(raw.mean) - 2)),
        "use vert",
    ),
    "variances": (lambda raw: replace(raw, identity=raw.identity * 60), "random people"),
    "unit vectors": (lambda raw: replace(raw, identity=raw.identity / 60), "random people"),
    "not finite": (lambda raw: replace(raw, identity=raw.identity * np.float32(np.nan)), "not finite"),
    "wild expression": (lambda raw: replace(raw, expression=raw.expression * 1000), "an expression moves"),
    "landmark outside": (lambda raw: replace(raw, anchors={**raw.anchors, 30: 10**6}), "landmarks point"),
    "no landmarks": (lambda raw: replace(raw, anchors={}), "give landmarks"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_each_shared_check_catches_a_broken_copy(name: str, tmp_path: Path) -> None:
    raw = READERS["bfm2017"](tmp_path, HEAD)
    assert face_model(raw, tmp_path).identity_count == 4
    change, words = BREAKS[name]
    with pytest.raises(AssetError) as caught:
        face_model(change(raw), tmp_path)
    assert words in str(caught.value)


def test_colours_of_255_are_caught(tmp_path: Path) -> None:
    bright = HEAD.colour.reshape(-1, 1) * 255 * 255
    raw = read_basel_2009(basel_2009_file(tmp_path / "a.mat", texMU=bright), anchors=HEAD.anchors)
    with pytest.raises(AssetError, match="diffuse albedo reaches"):
        face_model(raw, tmp_path)
