"""Meshes of GLB files that ``write_glb`` wrote, read back: places, triangles, texture."""

import io
import json
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int64, UInt8
from numpy import ndarray
from PIL import Image

from facewright.core.errors import InputError
from facewright.export.glb import BIN_CHUNK, GLB_MAGIC, JSON_CHUNK

MM_FROM_METRES = 1e3
TYPES = {5126: "<f4", 5123: "<u2", 5125: "<u4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}
MOST_BYTES = 256 << 20  # of a file; ours have a few MB
MOST_TEXELS = 8192  # a side of the texture: more takes more than 256 MB
FARTHEST = 1e5  # mm from the head's origin: hair of any length is nearer
# What reading a file raises whose document, buffer or picture is not what ``write_glb`` writes.
DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RecursionError,
    SyntaxError,  # of broken PNG files
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


@dataclass(frozen=True)
class GlbMesh:
    """The first primitive of a node, without its morph targets.

    Attributes:
        points: mm, in the node.
        uv: origin bottom-left, v up.
        faces: triangles.
        texture: sRGB and what the image has as alpha, row 0 is v = 1.
    """

    points: Float[ndarray, "N 3"]
    uv: Float[ndarray, "N 2"]
    faces: Int64[ndarray, "F 3"]
    texture: UInt8[ndarray, "H W 4"]


def read_glb_mesh(path: Path, name: str) -> GlbMesh | None:
    """Read a node's mesh with its texture; None if the file has no such node.

    Raises:
        InputError: the file cannot be read, is too large, or is none of ``write_glb``.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise InputError(
                f"{path} has {size >> 20} MB, at most {MOST_BYTES >> 20} are read: "
                "reconstruct the photo again with --force."
            )
        with path.open("rb") as file:
            content = file.read(MOST_BYTES)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    try:
        return _mesh(content, name)
    except DAMAGE as error:
        raise InputError(
            f"{path} is no GLB file of facewright: reconstruct the photo again with --force."
        ) from error


def _mesh(content: bytes, name: str) -> GlbMesh | None:
    """The mesh of a node; raises one of ``DAMAGE`` where the file is none of ``write_glb``."""
    document, binary = _chunks(content)
    found = [node for node in document["nodes"] if node.get("name") == name]
    if not found:
        return None
    primitive = document["meshes"][found[0]["mesh"]]["primitives"][0]
    attributes = primitive["attributes"]
    points = _values(document, binary, attributes["POSITION"], "VEC3")
    uv = _values(document, binary, attributes["TEXCOORD_0"], "VEC2")
    corners = _values(document, binary, primitive["indices"], "SCALAR")
    if points.dtype != np.float32 or uv.dtype != np.float32 or len(points) != len(uv):
        raise ValueError("a place and texture coordinates were expected of each vertex")
    if not (np.abs(points).max() <= FARTHEST / MM_FROM_METRES and np.isfinite(uv).all()):
        raise ValueError("places or texture coordinates are out of range")
    if corners.dtype.kind != "u" or corners.max() >= len(points):
        raise ValueError("triangles name vertices that are not there")
    faces = corners.reshape(-1, 3).astype(np.int64)
    material = document["materials"][primitive["material"]]
    image = material["pbrMetallicRoughness"]["baseColorTexture"]["index"]
    source = document["images"][document["textures"][image]["source"]]
    texture = _picture(_view(document, binary, source["bufferView"]))
    flipped = np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1)
    return GlbMesh(points * MM_FROM_METRES, flipped, faces, texture)


def _picture(content: bytes) -> UInt8[ndarray, "H W 4"]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # bounded here, before it is decoded
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as picture:
            if max(picture.size) > MOST_TEXELS:
                raise ValueError(
                    f"a texture of at most {MOST_TEXELS} texels was expected, got {picture.size}"
                )
            return np.asarray(picture.convert("RGBA"))


def _chunks(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The document and the buffer."""
    magic, version, _ = struct.unpack_from("<III", content)
    size, kind = struct.unpack_from("<II", content, 12)
    length, second = struct.unpack_from("<II", content, 20 + size)
    if (magic, version, kind, second) != (GLB_MAGIC, 2, JSON_CHUNK, BIN_CHUNK):
        raise ValueError(f"chunks of a GLB file were expected, got {(magic, version, kind, second)}")
    binary = content[28 + size : 28 + size + length]
    if len(binary) < length:
        raise ValueError("the file ends before its buffer does")
    return json.loads(content[20 : 20 + size]), binary


def _view(document: dict[str, Any], binary: bytes, index: int) -> bytes:
    view = document["bufferViews"][index]
    begin, length = view["byteOffset"], view["byteLength"]
    if not 0 <= begin <= begin + length <= len(binary):
        raise ValueError(f"bytes {begin} to {begin + length} are not in a buffer of {len(binary)}")
    return binary[begin : begin + length]


def _values(document: dict[str, Any], binary: bytes, index: int, kind: str) -> ndarray:
    """Numbers of an accessor that has some: rows of vectors, or a row of scalars."""
    told = document["accessors"][index]
    if told["type"] != kind or not told["count"]:
        raise ValueError(f"{kind} was expected, got {told['count']} of {told['type']}")
    values = np.frombuffer(_view(document, binary, told["bufferView"]), TYPES[told["componentType"]])
    return values.reshape((told["count"], WIDTHS[kind])[: 1 + (kind != "SCALAR")])
