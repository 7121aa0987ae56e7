"""PLY, STL and GLB through trimesh, the one place that imports it; counts are checked before it runs."""

import base64
import io
import json
import re
import struct
from collections import Counter
from typing import Any

import numpy as np

from facewright.core.errors import ScanError
from facewright.geometry.scan import RawScan, ScanLimits, check_counts
from facewright.geometry.scan_io import SiblingFiles, texture_pixels

MAX_NODES = 10_000
MAX_HEADER = 1 << 16
MAX_OVERLAP = 4  # bytes that parts of a GLB declare, for each byte of the file
COMPONENT_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}


def read_ply(data: bytes, files: SiblingFiles, limits: ScanLimits) -> RawScan:
    """PLY, text or binary."""
    end = data.find(b"end_header", 0, MAX_HEADER)
    if not data.startswith(b"ply") or end < 0:
        raise ScanError("expected a PLY header: it is damaged or cut short.")
    declared = {
        match[1].decode(): int(match[2])
        for match in re.finditer(rb"^element\s+(\w+)\s+(\d{1,18})\s*$", data[:end], re.MULTILINE)
    }
    count, face_count = declared.get("vertex", 0), declared.get("face", 0)
    check_counts(count, face_count, limits)
    if count + face_count > len(data):
        raise ScanError(f"it declares {count} vertices and {face_count} faces, but is cut short.")
    raw = _read(data, "ply", _Guard(files), weld=False)
    if len(raw.vertices) > count:  # split where texture coordinates differ
        raw = _read(data, "ply", _Guard(files), weld=True)
    elif len(raw.vertices) < count:
        raise ScanError(f"it declares {count} vertices, but {len(raw.vertices)} are in it: it is cut short.")
    if len(raw.faces) < face_count:
        raise ScanError(f"it declares {face_count} faces, but {len(raw.faces)} are in it: it is cut short.")
    return raw


def read_stl(data: bytes, files: SiblingFiles, limits: ScanLimits) -> RawScan:
    """STL, text or binary; corners at the same place become one vertex."""
    if len(data) >= 84 and len(data) == 84 + 50 * struct.unpack_from("<I", data, 80)[0]:
        faces = struct.unpack_from("<I", data, 80)[0]
    elif data.lstrip()[:5].lower() == b"solid" and b"endsolid" in data[-4096:].lower():
        faces = data.count(b"vertex") // 3
    else:
        raise ScanError("its size is not that of its triangles: it is damaged or cut short.")
    check_counts(3 * faces, faces, limits)
    return _read(data, "stl", _Guard(files), weld=True)


def read_glb(data: bytes, files: SiblingFiles, limits: ScanLimits) -> RawScan:
    """Binary glTF 2.0 without animation: the meshes of its scene in one frame."""
    guard = _Guard(files)
    _check_glb(data, limits, guard)
    return _read(data, "glb", guard, weld=True)


class _Guard:
    """What trimesh asks for files that a scan names; pictures are checked before it decodes them."""

    def __init__(self, files: SiblingFiles) -> None:
        self._files, self.pixels = files, 0
        self.notes: list[str] = []

    def get(self, name: str) -> bytes:
        try:
            data = self._files.read(name)
            self.admit(data, name)
        except ScanError as error:  # trimesh goes on without it
            self.notes.append(f"texture: {error}")
            raise
        return data

    def __getitem__(self, name: str) -> bytes:
        return self.get(name)

    def admit(self, data: bytes, name: str) -> None:
        """Count the pixels of a picture, as several may be decoded side by side."""
        limits = self._files.limits
        self.pixels += texture_pixels(data, name, limits)
        if self.pixels > limits.max_texture_pixels:
            raise ScanError(
                f"its textures have {self.pixels} pixels: at most {limits.max_texture_pixels} are read."
            )


def _read(data: bytes, kind: str, guard: _Guard, *, weld: bool) -> RawScan:
    raw = _raw(_loaded(data, kind, guard), weld=weld)
    if not guard.pixels:
        raw.texture = None  # trimesh takes a grey one where there is none
    raw.notes += tuple(guard.notes)
    return raw


def _loaded(data: bytes, kind: str, resolver: _Guard) -> Any:
    import trimesh

    scene: Any = trimesh.load_scene(
        io.BytesIO(data),
        file_type=kind,
        resolver=resolver,  # pyright: ignore[reportArgumentType]
        process=False,
        maintain_order=True,
    )
    clouds = [item for item in scene.geometry.values() if isinstance(item, trimesh.PointCloud)]
    return clouds[0] if clouds and len(clouds) == len(scene.geometry) else scene.to_mesh()


def _raw(mesh: Any, *, weld: bool) -> RawScan:
    """Our arrays of a mesh or a point cloud of trimesh."""
    vertices = np.asarray(mesh.vertices, dtype=np.float64).reshape(-1, 3)
    faces = np.asarray(getattr(mesh, "faces", np.zeros((0, 3))), dtype=np.int64).reshape(-1, 3)
    visual = mesh.visual
    colors = visual.vertex_colors if getattr(visual, "kind", None) == "vertex" else None
    if colors is None and not len(faces) and len(getattr(mesh, "colors", ())) == len(vertices):
        colors = mesh.colors
    uv, texture = getattr(visual, "uv", None), None
    if uv is not None and len(uv) == len(vertices):
        uv = np.asarray(uv, dtype=np.float64)[:, :2]
        material = visual.material
        image = getattr(material, "image", None) or getattr(material, "baseColorTexture", None)
        texture = None if image is None else np.asarray(image.convert("RGB"))
    else:
        uv = None
    uv_faces = None if uv is None else faces
    if weld and len(faces):
        _check_range(faces, len(vertices))
        first, number = _first_at_each_place(vertices)
        vertices, faces = vertices[first], number[faces]
        colors = None if colors is None else np.asarray(colors)[first]
    return RawScan(vertices, faces, colors, uv, uv_faces, texture)


def _check_range(faces: np.ndarray, count: int) -> None:
    if faces.min() < 0 or faces.max() >= count:
        raise ScanError(f"its faces use vertices {faces.min()} to {faces.max()}, but it has {count}.")


def _first_at_each_place(vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first vertex at each position in the order of the file, and each vertex's row among those."""
    _, first, inverse = np.unique(vertices, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse.ravel()]


def _check_glb(data: bytes, limits: ScanLimits, guard: _Guard) -> None:
    """Refuse what would make the reader take more memory than the file is worth.

    **Source:** glTF 2.0 specification, sections 3.5 (nodes form a strict tree), 3.6 (accessors), 4.4 (GLB).
    """
    if len(data) < 20 or data[:4] != b"glTF" or struct.unpack_from("<I", data, 8)[0] > len(data):
        raise ScanError("expected a binary glTF file: it is damaged or cut short.")
    length = struct.unpack_from("<I", data, 12)[0]
    tree = json.loads(data[20 : 20 + length])
    if tree.get("buffers") and data[24 + length : 28 + length] != b"BIN\0":
        raise ScanError("expected its data right behind its description: it is damaged or cut short.")
    nodes = tree.get("nodes", [])
    children = [child for node in nodes for child in node.get("children", [])]
    if len(nodes) > MAX_NODES or len(children) != len(set(children)):
        raise ScanError(f"it has {len(nodes)} nodes, or a node with two parents: expected a small tree.")
    _check_stored(tree, len(data), limits)
    _check_drawn(tree, limits)
    for number, image in enumerate(tree.get("images", [])):
        if "bufferView" in image:
            view = tree["bufferViews"][image["bufferView"]]
            start = 28 + length + int(view.get("byteOffset", 0))  # behind both heads of chunks
            guard.admit(data[start : start + int(view["byteLength"])], f"image {number}")
        elif str(image.get("uri", "")).startswith("data:"):
            guard.admit(base64.b64decode(image["uri"].partition("base64,")[2]), f"image {number}")


def _check_stored(tree: dict[str, Any], size: int, limits: ScanLimits) -> None:
    """What is copied out of the file may be little more than the file: parts of it may overlap."""
    if any("uri" in buffer for buffer in tree.get("buffers", [])) or len(tree.get("buffers", [])) > 1:
        raise ScanError("expected all its data in the file itself: export it as one GLB.")
    views = [int(view["byteLength"]) for view in tree.get("bufferViews", [])]
    stored, zeros = 0, 0
    for accessor in tree.get("accessors", []):
        count = int(accessor["count"])
        check_counts(count // 3, 0, limits)
        if "bufferView" in accessor:
            stored += count * COMPONENT_BYTES[accessor["componentType"]] * COMPONENTS[accessor["type"]]
        else:
            zeros += count  # morph targets that move few vertices are stored so
    if min(views, default=0) < 0 or max(sum(views), stored) > MAX_OVERLAP * size:
        raise ScanError(
            f"it declares {max(sum(views), stored)} bytes of data in a file of {size}: it is damaged."
        )
    check_counts(zeros, 0, limits)


def _check_drawn(tree: dict[str, Any], limits: ScanLimits) -> None:
    """Every mesh is read, and copied for every node that shows it."""
    accessors = tree.get("accessors", [])
    shown = Counter(int(node["mesh"]) for node in tree.get("nodes", []) if "mesh" in node)
    vertices, corners = 0, 0
    for number, mesh in enumerate(tree.get("meshes", [])):
        times = max(shown[number], 1)
        for primitive in mesh["primitives"]:
            used = [accessors[row] for row in primitive["attributes"].values()]
            count = int(accessors[primitive["attributes"]["POSITION"]]["count"])
            indices = accessors[primitive["indices"]] if "indices" in primitive else None
            if any("bufferView" not in accessor for accessor in (*used, *([indices] if indices else []))):
                raise ScanError("a mesh has no data (or is compressed): export it without compression.")
            if any(int(accessor["count"]) != count for accessor in used):
                raise ScanError("the attributes of a mesh have different lengths: it is damaged.")
            vertices += times * count
            corners += times * (int(indices["count"]) if indices else count)
    check_counts(vertices, corners // 3, limits)
