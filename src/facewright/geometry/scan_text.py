"""Plain formats that scanners write: OFF, XYZ and legacy VTK polygons."""

import re
from dataclasses import dataclass

import numpy as np

from facewright.core.errors import ScanError
from facewright.geometry.number_text import read_floats, read_integers, word_places
from facewright.geometry.polygons import triangles_of_polygons
from facewright.geometry.scan import RawScan, ScanLimits, check_counts
from facewright.geometry.scan_io import SiblingFiles

_OFF_HEAD = re.compile(rb"\s*C?OFF\s+(\d{1,18})\s+(\d{1,18})(?:\s[^\r\n]*)?(?=[\r\n])")
_VTK_KEYWORD = re.compile(rb"\n[ \t]*(?!(?:nan|inf|infinity)\b)[a-z]", re.IGNORECASE)
_COMMENT = re.compile(rb"^[ \t]*(?:#|//)[^\r\n]*", re.MULTILINE)
_ONE_WORD = re.compile(rb"\s*\S+[ \t]*[\r\n]\s*(?=\S)")
NO_FACES = np.zeros((0, 3), dtype=np.int64)


def read_off(data: bytes, _files: SiblingFiles, limits: ScanLimits) -> RawScan:
    """OFF and COFF as text."""
    text = re.sub(rb"#[^\r\n]*", b"", data)
    head = _OFF_HEAD.match(text)
    if not head:
        raise ScanError(
            "expected the word OFF or COFF at its beginning, and its numbers of vertices and faces."
        )
    count, face_count = int(head[1]), int(head[2])
    check_counts(count, face_count, limits)
    text = text[head.end() :]
    at, widths = word_places(text)
    if len(widths) < count + face_count:
        raise ScanError(f"it declares {count} vertices and {face_count} faces, but is cut short.")
    widths = widths[: count + face_count]
    needed = int(widths.sum())
    values = read_floats(text[: at[needed]] if needed < len(at) else text)
    starts = np.cumsum(widths) - widths
    width = int(widths[:count].min(initial=6))
    if width < 3:
        raise ScanError(f"a vertex has {width} numbers, expected 3: it is damaged.")
    points = values[starts[:count, None] + np.arange(6 if width >= 6 else 3)]
    faces = _off_faces(values, starts[count:], widths[count:])
    return RawScan(points[:, :3], faces, points[:, 3:] if width >= 6 else None)


def _off_faces(values: np.ndarray, starts: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Of lines that begin with the number of corners; a colour may follow the corners."""
    sizes = values[starts]
    bad = (sizes < 3) | (sizes > widths - 1) | (sizes % 1 != 0)
    if bad.any():
        row = int(bad.argmax())
        raise ScanError(
            f"face {row} declares {sizes[row]:g} corners in a line of {widths[row]} numbers: "
            "it is damaged or cut short."
        )
    triangles = triangles_of_polygons(values, starts + 1, sizes.astype(np.int64))
    if (np.rint(triangles) != triangles).any():
        raise ScanError("a face uses a vertex that is no whole number: it is damaged.")
    return triangles.clip(-1, 2.0**53).astype(np.int64)


def read_xyz(data: bytes, _files: SiblingFiles, limits: ScanLimits) -> RawScan:
    """A point a line: x y z, perhaps with a colour (6 or 9 numbers: r g b last)."""
    text = _COMMENT.sub(b"", data.replace(b",", b" ").replace(b";", b" "))
    if first := _ONE_WORD.match(text):
        text = text[first.end() :]  # some programs put the number of points first
    _, widths = word_places(text)
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
            cells = reader.numbers(int(words[2]), "int").astype(np.int64, order="C")
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
        short = ScanError(f"expected {count} numbers of type {kind}, but it is damaged or cut short.")
        if self.binary:
            end = self.place + count * dtype.itemsize
            if count < 0 or end > len(self.data):
                raise short
            values = np.frombuffer(self.data, dtype, count, self.place)
            self.place = end
            return values.astype(dtype.newbyteorder("="))
        end = _VTK_KEYWORD.search(self.data, max(self.place - 1, 0))
        block = self.data[self.place : end.start() + 1 if end else len(self.data)]
        self.place += len(block)
        values = read_integers(block) if dtype.kind in "iu" else read_floats(block)
        if len(values) != count:
            raise short
        return values


def _triangles_of_cells(cells: np.ndarray, count: int, *, strips: bool) -> np.ndarray:
    """Of polygons that each begin with their number of corners."""
    damaged = ScanError("a polygon has fewer than three corners: it is damaged or cut short.")
    if 4 * count > len(cells):
        raise damaged
    step = int(cells[0]) + 1 if count else 4
    if step >= 4 and step * count == len(cells) and (cells[::step] == step - 1).all():
        starts = np.arange(count) * step + 1
        return triangles_of_polygons(cells, starts, np.full(count, step - 1), strips=strips)
    starts, numbers, place = np.empty(count, dtype=np.int64), cells.data, 0
    for row in range(count):  # where a polygon begins is known from the one before
        starts[row] = place + 1
        size = numbers[place] if place < len(numbers) else 0
        place += size + 1
        if size < 3 or place > len(numbers):
            raise damaged
    return triangles_of_polygons(cells, starts, cells[starts - 1], strips=strips)


def _word(raw: bytes) -> str:
    return raw.decode("ascii", errors="replace")
