"""Meshes of GLB files that ``write_glb`` wrote, read back: places, triangles, texture."""

import io
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int64, UInt8
from numpy import ndarray
from PIL import Image, UnidentifiedImageError

from facewright.core.errors import InputError
from facewright.export.glb import BIN_CHUNK, GLB_MAGIC, JSON_CHUNK

MM_FROM_METRES = 1e3
TYPES = {5126: "<f4", 5123: "<u2", 5125: "<u4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}


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
        InputError: the file cannot be read, or is none of ``write_glb``.
    """
    try:
        document, binary = _chunks(path.read_bytes())
        found = [node for node in document["nodes"] if node.get("name") == name]
        if not found:
            return None
        primitive = document["meshes"][found[0]["mesh"]]["primitives"][0]
        points, uv, faces = (
            _values(document, binary, accessor)
            for accessor in (
                primitive["attributes"]["POSITION"],
                primitive["attributes"]["TEXCOORD_0"],
                primitive["indices"],
            )
        )
        material = document["materials"][primitive["material"]]
        image = material["pbrMetallicRoughness"]["baseColorTexture"]["index"]
        source = document["images"][document["textures"][image]["source"]]
        with Image.open(io.BytesIO(_view(document, binary, source["bufferView"]))) as picture:
            texture = np.asarray(picture.convert("RGBA"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    except (KeyError, IndexError, TypeError, ValueError, struct.error, UnidentifiedImageError) as error:
        raise InputError(
            f"{path} is no GLB file of facewright: reconstruct the photo again with --force."
        ) from error
    flipped = np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1)
    return GlbMesh(points * MM_FROM_METRES, flipped, faces.reshape(-1, 3).astype(np.int64), texture)


def _chunks(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The document and the buffer."""
    magic, version, _ = struct.unpack_from("<III", content)
    size, kind = struct.unpack_from("<II", content, 12)
    length, second = struct.unpack_from("<II", content, 20 + size)
    if (magic, version, kind, second) != (GLB_MAGIC, 2, JSON_CHUNK, BIN_CHUNK):
        raise ValueError(f"chunks of a GLB file were expected, got {(magic, version, kind, second)}")
    return json.loads(content[20 : 20 + size]), content[28 + size : 28 + size + length]


def _view(document: dict[str, Any], binary: bytes, index: int) -> bytes:
    view = document["bufferViews"][index]
    return binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]


def _values(document: dict[str, Any], binary: bytes, index: int) -> ndarray:
    told = document["accessors"][index]
    values = np.frombuffer(_view(document, binary, told["bufferView"]), TYPES[told["componentType"]])
    return values.reshape(told["count"], WIDTHS[told["type"]])
