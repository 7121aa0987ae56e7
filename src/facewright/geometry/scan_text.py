"""Plain formats that scanners write: OFF, XYZ and legacy VTK polygons."""

import re
from dataclasses import dataclass

import numpy as np

from facewright.core.errors import ScanError
from facewright.geometry.number_text import read_floats, read_integers, words_per_line
from facewright.geometry.scan import RawScan, ScanLimits, check_counts
from facewright.geometry.scan_io import SiblingFiles

_COMMENT = re.compile(rb"^[ \t]*(?:#|//)[^\r\n]*", re.MULTILINE)
_ONE_WORD = re.compile(rb"\s*\S+[ \t]*[\r\n]\s*(?=\S)")
NO_FACES = np.zeros((0, 3), dtype=np.int64)


def read_off(data: bytes, _files: SiblingFiles, limits: ScanLimits) -> RawScan:
    """OFF and COFF as text."""
    lines = [line for line in (raw.partition(b"#")[0].strip() for raw in data.splitlines()) if line]
    if not lines or lines[0].split()[0] not in (b"OFF", b"COFF"):
        raise ScanError("expected the word OFF or COFF at its beginning.")
    head = lines[0].split()[1:]
    body = lines[1:]
    if len(head) < 2:
        head, body = body[0].split(), body[1:]
    count, face_count = int(head[0]), int(head[1])
    check_counts(count, face_count, limits)
    if len(body) < count + face_count:
        raise ScanError(f"it declares {count} vertices and {face_count} faces, but is cut short.")
    rows = [line.split() for line in body[:count]]
    width = min((len(row) for row in rows), default=3)
    points = read_floats(b"\n".join(b" ".join(row[:width]) for row in rows)).reshape(count, -1)
    faces: list[np.ndarray] = []
    for line in body[count : count + face_count]:
        row = line.split()
        corners = read_integers(b" ".join(row[1 : int(row[0]) + 1]))
        if len(corners) != int(row[0]) or len(corners) < 3:
            raise ScanError(f"a face line reads {line[:40]!r}: it is damaged or cut short.")
        faces.append(_fan(corners))
    triangles = np.concatenate(faces) if faces else NO_FACES
    return RawScan(points[:, :3], triangles, points[:, 3:6] if width >= 6 else None)


def read_xyz(data: bytes, _files: SiblingFiles, limits: ScanLimits) -> RawScan:
    """A point a line: x y z, perhaps with a colour (6 or 9 numbers: r g b last)."""
    text = _COMMENT.sub(b"", data.replace(b",", b" ").replace(b";", b" "))
    if first := _ONE_WORD.match(text):
        text = text[first.end() :]  # some programs put the number of points first
    widths = words_per_line(text)
    check_counts(len(widths), 0, limits)
    width = int(widths[0]) if len(widths) else 3
    if width < 3 or (widths != width).any():
        raise ScanError("expected the same three or more numbers in every line: it is damaged or cut short.")
    values = read_floats(text)
    points = values.reshape(-1, width)
    colors = points[:, -3:] if width in (6, 9) and _like_colors(points[:, -3:]) else None
    return RawScan(points[:, :3], NO_FACES, colors)


def _like_colors(values: np.ndarray) -> bool:
    """Six numbers may also be a point and its normal, which has negative parts."""
    return bool(values.size and values.min() >= 0 and values.max() <= 255)


def read_vtk(data: bytes, _files: SiblingFiles, limits: ScanLimits) -> RawScan:
    """Legacy VTK POLYDATA, text or binary: points, polygons, strips, colours, texture coordinates.

    **Source:** VTK file formats 4.2, "simple legacy formats".
    """
    reader = _VtkReader(data)
    if not reader.line().startswith(b"# vtk DataFile"):
        raise ScanError("expected '# vtk DataFile' at its beginning; XML files of VTK are not read.")
    reader.line()  # a title
    kind = reader.line().strip().upper()
    if kind not in (b"ASCII", b"BINARY"):
        raise ScanError(f"expected ASCII or BINARY, got {kind[:20]!r}.")
    reader.binary = kind == b"BINARY"
    points, faces = np.zeros((0, 3)), [NO_FACES]
    colors, uv, rows = None, None, 0
    while (line := reader.next_line()) is not None:
        words = line.split()
        key = words[0].upper()
        if key == b"DATASET" and words[1].upper() != b"POLYDATA":
            raise ScanError(f"expected DATASET POLYDATA, got {_word(words[1])}: export it as polygons.")
        if key == b"POINTS":
            check_counts(int(words[1]), 0, limits)
            points = reader.numbers(3 * int(words[1]), _word(words[2])).reshape(-1, 3)
        elif key in (b"POLYGONS", b"TRIANGLE_STRIPS"):
            check_counts(len(points), int(words[1]), limits)
            cells = reader.numbers(int(words[2]), "int").astype(np.int64)
            faces.append(_triangles_of_cells(cells, int(words[1]), strips=key == b"TRIANGLE_STRIPS"))
        elif key in (b"VERTICES", b"LINES"):
            reader.numbers(int(words[2]), "int")
        elif key in (b"POINT_DATA", b"CELL_DATA"):
            rows = len(points) if key == b"POINT_DATA" else 0
            if key == b"CELL_DATA":
                break
        elif key == b"COLOR_SCALARS" and rows:
            width = int(words[2])
            raw = reader.numbers(rows * width, "unsigned_char" if reader.binary else "float")
            colors = raw.reshape(rows, width)[:, :3] if width >= 3 else None
        elif key == b"TEXTURE_COORDINATES" and rows:
            uv = reader.numbers(rows * int(words[2]), _word(words[3])).reshape(rows, -1)[:, :2]
        elif rows and key in (b"NORMALS", b"VECTORS"):
            reader.numbers(3 * rows, _word(words[2]))
        elif rows and key == b"SCALARS":
            reader.line()  # LOOKUP_TABLE
            reader.numbers(rows * (int(words[3]) if len(words) > 3 else 1), _word(words[2]))
        elif rows and key != b"METADATA":
            break  # nothing of interest follows
    triangles = np.concatenate(faces)
    return RawScan(points, triangles, colors, uv, None if uv is None else triangles)


_VTK_TYPES = {
    "unsigned_char": "u1",
    "char": "i1",
    "short": "i2",
    "unsigned_short": "u2",
    "int": "i4",
    "unsigned_int": "u4",
    "long": "i8",
    "vtkidtype": "i8",
    "float": "f4",
    "double": "f8",
}


@dataclass
class _VtkReader:
    data: bytes
    place: int = 0
    binary: bool = False

    def line(self) -> bytes:
        end = self.data.find(b"\n", self.place)
        end = len(self.data) if end < 0 else end
        line, self.place = self.data[self.place : end], end + 1
        return line

    def next_line(self) -> bytes | None:
        while self.place < len(self.data):
            line = self.line()
            if line.strip():
                return line
        return None

    def numbers(self, count: int, kind: str) -> np.ndarray:
        """The next ``count`` numbers; binary ones are big-endian."""
        dtype = np.dtype(_VTK_TYPES[kind.lower()]).newbyteorder(">")
        short = ScanError(f"expected {count} numbers of type {kind}, but it is cut short.")
        if self.binary:
            end = self.place + count * dtype.itemsize
            if count < 0 or end > len(self.data):
                raise short
            values = np.frombuffer(self.data, dtype, count, self.place)
            self.place = end
            return values.astype(dtype.newbyteorder("="))
        found: list[bytes] = []
        while len(found) < count and self.place < len(self.data):
            found += self.line().split()
        if len(found) != count:
            raise short
        return read_floats(b" ".join(found))


def _triangles_of_cells(cells: np.ndarray, count: int, *, strips: bool) -> np.ndarray:
    if count * 4 == len(cells) and (cells[::4] == 3).all():
        return cells.reshape(-1, 4)[:, 1:]
    parts, place = [NO_FACES], 0
    for _ in range(count):
        size = int(cells[place]) if place < len(cells) else 0
        corners = cells[place + 1 : place + 1 + size]
        if size < 3 or len(corners) != size:
            raise ScanError("a polygon has fewer than three corners: it is damaged or cut short.")
        parts.append(_strip(corners) if strips else _fan(corners))
        place += size + 1
    return np.concatenate(parts)


def _fan(corners: np.ndarray) -> np.ndarray:
    first = np.full(len(corners) - 2, corners[0])
    return np.stack([first, corners[1:-1], corners[2:]], axis=1)


def _strip(corners: np.ndarray) -> np.ndarray:
    faces = np.stack([corners[:-2], corners[1:-1], corners[2:]], axis=1)
    faces[1::2] = faces[1::2, ::-1]
    return faces


def _word(raw: bytes) -> str:
    return raw.decode("ascii", errors="replace")
