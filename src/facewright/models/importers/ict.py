"""ICT-FaceKit: a folder of OBJ files, or the same numbers in an NPZ; centimetres, quads, texture tiles."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy import ndarray

from facewright.core.errors import AssetError
from facewright.models.importers.atlas import Cell, mirrored, packed
from facewright.models.importers.raw import MAX_FILE_BYTES, RawModel, check_counts, check_file

MILLIMETRES = 10.0  # the model is in centimetres
NEUTRAL = "generic_neutral_mesh.obj"
MAX_MODES = 300
LICENCE = "MIT, (c) 2020 USC Institute for Creative Technologies"
# The makers' table of parts: first vertex of each, for the model of 26,719 vertices.
VERTICES = 26_719
PARTS = {"skin": (0, 11248), "mouth_socket": (11248, 13294), "eye_sockets": (13294, 14062)}
PARTS |= {"gums_and_tongue": (14062, 17039), "teeth": (17039, 21451), "left_eye": (21451, 23021)}
PARTS |= {"right_eye": (23021, 24591), "eye_film": (24591, 25351), "lashes": (25351, VERTICES)}
# Squares of the one map that the parts share here, of tiles that lie on one another in the makers' files:
# corner and side. The front of the skin is tile 0, its back is tile 1 with the sockets.
FRONT, BACK = ((0.0, 0.25), 0.75), ((0.75, 0.75), 0.25)
SQUARES = {"gums_and_tongue": ((0.0, 0.0), 0.25), "lashes": ((0.75, 0.125), 0.125)}
# Of what is seen of an eye, and of the ball within, which starts after so many of its vertices.
EYES = {"left_eye": (((0.75, 0.5), 0.25), ((0.625, 0.125), 0.125))}
EYES |= {"right_eye": (((0.75, 0.25), 0.25), ((0.625, 0.0), 0.125))}
EYE_SHELL = 770
TEETH = (((0.25, 0.03), 0.1875), ((0.4375, 0.03), 0.1875))  # of two halves that are mirror images on the map
CLEAR = "eye_film"  # which is looked through: its two sides share their place
FILM = (((0.875, 0.125), 0.125), ((0.75, 0.0), 0.125), ((0.875, 0.0), 0.125))  # of tiles 0, 4 and 5
FILM_TILES = (0, 4, 5)
# "Multi-PIE 68 point facial landmarks" of the makers' README.
# fmt: off
ANCHORS = dict(enumerate((
    1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088, 3443, 268,
    493, 1914, 2044, 1401, 3615, 4240, 4114, 2734, 2509, 978, 4527, 4942, 4857, 1140, 2075, 1147, 4269, 3360,
    1507, 1542, 1537, 1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732, 5708, 5695, 2081, 0, 4275, 6200,
    6213, 6346, 6461, 5518, 5957, 5841, 5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966,
)))
# fmt: on


@dataclass(frozen=True)
class _Quads:
    vertices: ndarray
    polygons: ndarray
    uv: ndarray
    polygons_uv: ndarray


def read_ict(path: Path, *, anchors: dict[int, int] | None = None) -> RawModel:
    """Read ICT-FaceKit's ``FaceXModel`` folder, or an NPZ of it.

    Args:
        path: a folder with ``generic_neutral_mesh.obj``, ``identity000.obj`` ... and an OBJ an expression;
            or an NPZ with ``neutral``, ``identity`` and ``expression`` (as offsets), ``polygons`` and
            ``polygons_uv`` (-1 fills triangles up), ``uv``, ``identity_names`` and ``expression_names``.
        anchors: vertices at points of iBUG; those of the makers' README if None.

    Raises:
        AssetError: a file is missing, damaged, or not of this model.

    **Source:** Li et al. 2020 and the ICT-FaceKit README (parts, landmarks). Centimetres: the outer eye
    corners of the neutral are 8.92 apart. Identity modes are scaled to one standard deviation already.
    **Differs:** ``_L`` and ``_R`` become ``Left`` and ``Right``, as ARKit writes the same names. Where the
    parts are known, each has a place of its own on one texture map; in the makers' files they share seven
    tiles, and eyes, film and face the first one: textures that were made for those do not fit.
    """
    try:
        mesh, identity, expression, names = _read_folder(path) if path.is_dir() else _read_npz(path)
        faces, uv_faces = _triangles(mesh.polygons), _triangles(mesh.polygons_uv)
    except (LookupError, ValueError, TypeError, OSError, zipfile.BadZipFile) as error:
        raise AssetError(f"{path} is no ICT-FaceKit model ({error}).") from error
    count = len(mesh.vertices)
    parts = {name: _range(count, *ends) for name, ends in PARTS.items()} if count == VERTICES else {}
    uv = mesh.uv.astype(np.float64)
    if parts:
        uv, uv_faces = packed(uv, uv_faces, _cells(uv, faces, uv_faces, parts))
    return RawModel(
        name="ict",
        version="light",
        licence=LICENCE,
        mean=mesh.vertices * MILLIMETRES,
        faces=faces,
        identity=identity * np.float32(MILLIMETRES),
        expression=expression * np.float32(MILLIMETRES),
        expression_names=tuple(_arkit_name(name) for name in names),
        uv=uv,
        uv_faces=uv_faces,
        anchors=ANCHORS if anchors is None else anchors,
        parts=parts,
    )


def _cells(uv: ndarray, faces: ndarray, uv_faces: ndarray, parts: dict[str, ndarray]) -> list[Cell]:
    """Where on the one map each part's triangles go."""
    of = {name: mask[faces].all(1) for name, mask in parts.items()}
    tile = np.floor(uv[uv_faces].mean(1)[:, 0])
    back = (of["skin"] & (tile == 1)) | of["mouth_socket"] | of["eye_sockets"]
    turned = mirrored(uv, uv_faces)
    chosen = [(of["skin"] & (tile == 0), FRONT), (back, BACK)]
    chosen += [(of[name], square) for name, square in SQUARES.items()]
    for name, (shell, ball) in EYES.items():
        outer = (faces < PARTS[name][0] + EYE_SHELL).all(1)
        chosen += [(of[name] & outer, shell), (of[name] & ~outer, ball)]
    chosen += [(of["teeth"] & (turned == half), square) for half, square in enumerate(TEETH)]
    chosen += [
        (of[CLEAR] & (tile == number), square) for number, square in zip(FILM_TILES, FILM, strict=True)
    ]
    return [Cell(triangles, *square) for triangles, square in chosen]


def _range(count: int, start: int, stop: int) -> ndarray:
    mask = np.zeros(count, dtype=bool)
    mask[start:stop] = True
    return mask


def _arkit_name(name: str) -> str:
    return name.replace("_L", "Left").replace("_R", "Right")


def _triangles(polygons: ndarray) -> ndarray:
    """Quads a b c d as a b c and a c d; -1 in the last place is a triangle."""
    whole = polygons[:, 3] >= 0
    second = polygons[whole][:, [0, 2, 3]]
    return np.concatenate([polygons[:, :3], second]).astype(np.int64)


def _read_npz(path: Path) -> tuple[_Quads, ndarray, ndarray, list[str]]:
    check_file(path)
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MAX_FILE_BYTES:
            raise ValueError("it unpacks to more than any face model")
    with np.load(path, allow_pickle=False) as stored:
        quads = _Quads(*(stored[name] for name in ("neutral", "polygons", "uv", "polygons_uv")))
        quads = _Quads(quads.vertices.astype(np.float64), quads.polygons, quads.uv, quads.polygons_uv)
        identity, expression = (stored[name].astype(np.float32) for name in ("identity", "expression"))
        names = [str(name) for name in stored["expression_names"]]
    count = len(quads.vertices)
    check_counts(path, count, len(identity))
    for name, array, shape in (
        ("neutral", quads.vertices, (count, 3)),
        ("identity", identity, (len(identity), count, 3)),
        ("expression", expression, (len(names), count, 3)),
        ("polygons", quads.polygons, (len(quads.polygons), 4)),
        ("polygons_uv", quads.polygons_uv, (len(quads.polygons), 4)),
    ):
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
    return quads, identity, expression, names


def _read_folder(path: Path) -> tuple[_Quads, ndarray, ndarray, list[str]]:
    """All modes are meshes of the neutral's vertices; what is no identity mode is an expression."""
    files = sorted(file for file in path.glob("*.obj") if file.name != NEUTRAL)
    if len(files) > MAX_MODES:
        raise ValueError(f"{len(files)} OBJ files, expected at most {MAX_MODES}")
    mesh = _read_obj(path / NEUTRAL)
    modes = [file for file in files if file.stem.startswith("identity")]
    shapes = [file for file in files if not file.stem.startswith("identity")]
    listing = path / "vertex_indices.json"
    if listing.is_file() and listing.stat().st_size < 16 << 20:
        # The folder's own list leaves out what is no expression, such as templates of other meshes.
        listed = json.loads(listing.read_text(encoding="utf-8"))["expressions"]
        shapes = [file for file in shapes if file.stem in listed]
    check_counts(path, len(mesh.vertices), len(files))

    def offsets(chosen: list[Path]) -> ndarray:
        moved = [(_read_vertices(file, len(mesh.vertices)) - mesh.vertices) for file in chosen]
        return (
            np.stack(moved).astype(np.float32) if moved else np.zeros((0, *mesh.vertices.shape), np.float32)
        )

    return mesh, offsets(modes), offsets(shapes), [file.stem for file in shapes]


def _lines(path: Path) -> list[str]:
    check_file(path)
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def _read_vertices(path: Path, count: int) -> ndarray:
    rows = [line.split()[1:4] for line in _lines(path) if line.startswith("v ")]
    vertices = np.array(rows, dtype=np.float64).reshape(-1, 3)
    if len(vertices) != count:
        raise ValueError(f"{path.name} has {len(vertices)} vertices, expected {count}")
    return vertices


def _read_obj(path: Path) -> _Quads:
    rows: dict[str, list[list[str]]] = {"v": [], "vt": [], "f": []}
    for line in _lines(path):
        words = line.split()
        if words and words[0] in rows:
            rows[words[0]].append(words[1:])
    polygons = np.full((len(rows["f"]), 4), -1)
    polygons_uv = np.full((len(rows["f"]), 4), -1)
    for number, corners in enumerate(rows["f"]):
        if len(corners) not in (3, 4):
            raise ValueError(f"{path.name} has a polygon of {len(corners)} corners")
        for place, corner in enumerate(corners):
            vertex, texel = corner.split("/")[:2]
            polygons[number, place], polygons_uv[number, place] = int(vertex) - 1, int(texel) - 1
    vertices = np.array([row[:3] for row in rows["v"]], dtype=np.float64).reshape(-1, 3)
    uv = np.array([row[:2] for row in rows["vt"]], dtype=np.float64).reshape(-1, 2)
    return _Quads(vertices, polygons, uv, polygons_uv)
