"""The container side of glTF 2.0: one binary buffer, its views and accessors, and the GLB file around it.

**Source:** Khronos glTF 2.0 specification, sections 3.6 (buffers, sparse accessors) and 4 (GLB).
"""

import json
import struct
from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray

FLOAT, UNSIGNED_SHORT, UNSIGNED_INT = 5126, 5123, 5125
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
GLB_MAGIC, JSON_CHUNK, BIN_CHUNK = 0x46546C67, 0x4E4F534A, 0x004E4942


class BufferBuilder:
    """Collects arrays into one buffer and remembers where each of them lies."""

    def __init__(self) -> None:
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []
        self._pieces: list[bytes] = []
        self._length = 0

    def add_view(self, content: bytes, target: int | None = None) -> int:
        """Append bytes, aligned to four, and return the index of their buffer view."""
        view: dict[str, Any] = {"buffer": 0, "byteOffset": self._length, "byteLength": len(content)}
        if target is not None:
            view["target"] = target
        padding = -len(content) % 4
        self._pieces += [content, b"\0" * padding]
        self._length += len(content) + padding
        self.views.append(view)
        return len(self.views) - 1

    def add_vectors(self, values: Float[ndarray, "N K"], *, bounds: bool = False) -> int:
        """Append a vertex attribute of 2 to 4 floats and return the index of its accessor."""
        values = np.ascontiguousarray(values, dtype="<f4")
        accessor = _vector_accessor(values, bounds)
        accessor["bufferView"] = self.add_view(values.tobytes(), ARRAY_BUFFER)
        return self._add_accessor(accessor)

    def add_sparse_vectors(self, values: Float[ndarray, "N 3"], *, bounds: bool = False) -> int:
        """Append mostly zero vectors: only the rows that are not zero are stored where that is smaller."""
        values = np.ascontiguousarray(values, dtype="<f4")
        rows = np.flatnonzero((values[:, 0] != 0) | (values[:, 1] != 0) | (values[:, 2] != 0))
        index_type, index_dtype = _index_type(len(values))
        # A sparse accessor costs an index a row and some 200 bytes of JSON.
        if len(rows) * (12 + index_dtype.itemsize) + 200 >= values.nbytes and len(rows):
            return self.add_vectors(values, bounds=bounds)
        accessor = _vector_accessor(values[rows], bounds)
        accessor["count"] = len(values)
        if bounds and len(rows) < len(values):  # the rows left out are zeros
            accessor["min"] = [min(value, 0.0) for value in accessor.get("min", [0.0] * 3)]
            accessor["max"] = [max(value, 0.0) for value in accessor.get("max", [0.0] * 3)]
        if len(rows):  # an accessor with neither view nor sparse rows is all zeros
            accessor["sparse"] = {
                "count": len(rows),
                "indices": {
                    "bufferView": self.add_view(rows.astype(index_dtype).tobytes()),
                    "componentType": index_type,
                },
                "values": {"bufferView": self.add_view(values[rows].tobytes())},
            }
        return self._add_accessor(accessor)

    def add_numbers(self, values: Float[ndarray, " N"], *, bounds: bool = False) -> int:
        """Append single floats, such as the keys of an animation, and return the index of their accessor."""
        flat = np.ascontiguousarray(values, dtype="<f4")
        accessor: dict[str, Any] = {"componentType": FLOAT, "count": len(flat), "type": "SCALAR"}
        if bounds:
            accessor |= {"min": [float(flat.min())], "max": [float(flat.max())]}
        return self._add_accessor({**accessor, "bufferView": self.add_view(flat.tobytes())})

    def add_triangles(self, triangles: Int64[ndarray, "F 3"], vertex_count: int) -> int:
        """Append triangle indices, as narrow as they can be, and return the index of their accessor."""
        component_type, dtype = _index_type(vertex_count)
        view = self.add_view(triangles.astype(dtype).tobytes(), ELEMENT_ARRAY_BUFFER)
        return self._add_accessor(
            {"bufferView": view, "componentType": component_type, "count": triangles.size, "type": "SCALAR"}
        )

    def content(self) -> bytes:
        """All bytes of the buffer."""
        return b"".join(self._pieces)

    def _add_accessor(self, accessor: dict[str, Any]) -> int:
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def glb_bytes(document: dict[str, Any], binary: bytes) -> bytes:
    """Pack a glTF document and its one buffer as a GLB file."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    header = struct.pack("<III", GLB_MAGIC, 2, 12 + 8 + len(text) + 8 + len(binary))
    chunks = struct.pack("<II", len(text), JSON_CHUNK) + text + struct.pack("<II", len(binary), BIN_CHUNK)
    return header + chunks + binary


def _vector_accessor(values: ndarray, bounds: bool) -> dict[str, Any]:
    accessor: dict[str, Any] = {
        "componentType": FLOAT,
        "count": len(values),
        "type": f"VEC{values.shape[1]}",
    }
    if bounds and len(values):
        accessor["min"] = values.min(axis=0).tolist()
        accessor["max"] = values.max(axis=0).tolist()
    return accessor


def _index_type(vertex_count: int) -> tuple[int, np.dtype]:
    # 65535 itself is the primitive restart value.
    if vertex_count < 65535:
        return UNSIGNED_SHORT, np.dtype("<u2")
    return UNSIGNED_INT, np.dtype("<u4")
