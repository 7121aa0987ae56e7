"""Wavefront OBJ with vertex colours, materials and one texture; vertices keep the order of the file."""

import io
from dataclasses import dataclass, field

import numpy as np

from facewright.core.errors import ScanError
from facewright.geometry.number_text import read_floats, read_integers, word_places
from facewright.geometry.polygons import triangles_of_polygons
from facewright.geometry.scan import RawScan, ScanLimits, check_counts
from facewright.geometry.scan_io import SiblingFiles


@dataclass
class _Lines:
    """The lines by their keyword and without it; one text each, as an object for each line takes far more."""

    v: bytearray = field(default_factory=bytearray)
    vt: bytearray = field(default_factory=bytearray)
    f: bytearray = field(default_factory=bytearray)
    face_count: int = 0
    materials: dict[int, bytes] = field(default_factory=lambda: {0: b""})  # from which face line on
    libraries: dict[bytes, None] = field(default_factory=dict)


def read_obj(data: bytes, files: SiblingFiles, limits: ScanLimits) -> RawScan:
    """Positions, colours, faces (polygons as fans) and, where all faces share one, the texture."""
    lines = _sorted_lines(data)
    points = _numbers(bytes(lines.v), "v", limits)
    vertices = points[:, :3]
    colors = points[:, 3:6] if points.shape[1] >= 6 else None
    uv = _numbers(bytes(lines.vt), "vt", limits)[:, :2] if lines.vt else None
    faces, uv_faces, line = _faces(bytes(lines.f), len(vertices), None if uv is None else len(uv), limits)
    notes: list[str] = []
    if uv is not None and len(uv_faces) and (uv_faces < 0).any():
        notes.append("some faces have no texture coordinates: the texture is left aside")
        uv = None
    texture = None
    if uv is not None:
        names, since = list(lines.materials.values()), np.array(list(lines.materials))
        used = {names[row] for row in np.unique(np.searchsorted(since, line, side="right") - 1).tolist()}
        texture = _texture(list(lines.libraries), used, files, notes)
    return RawScan(vertices, faces, colors, uv, None if uv is None else uv_faces, texture, tuple(notes))


def _sorted_lines(data: bytes) -> _Lines:
    lines = _Lines()
    texts = {b"v": lines.v, b"vt": lines.vt, b"f": lines.f}
    data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\\\n", b" ")
    for line in io.BytesIO(data):
        keyword, _, rest = line.strip().replace(b"\t", b" ").partition(b" ")
        if keyword in texts:
            rest = rest.partition(b"#")[0].strip()
            if not rest:
                raise ScanError(f"a line '{keyword.decode()}' is empty: it is damaged or cut short.")
            texts[keyword] += rest + b"\n"
            lines.face_count += keyword == b"f"
        elif keyword == b"usemtl":
            lines.materials[lines.face_count] = rest.partition(b"#")[0].strip()
        elif keyword == b"mtllib":
            lines.libraries[rest.partition(b"#")[0].strip()] = None
    return lines


def _numbers(text: bytes, keyword: str, limits: ScanLimits) -> np.ndarray:
    if not text:
        raise ScanError("there is no vertex in it: export the scan again.")
    _, widths = word_places(text)
    check_counts(len(widths), 0, limits)
    least = 3 if keyword == "v" else 2
    if widths.min() < least:
        raise ScanError(f"a line '{keyword}' has {widths.min()} numbers, expected {least}: it is cut short.")
    try:
        values = read_floats(text)
    except ScanError as error:
        raise ScanError(f"a line '{keyword}' holds no number: {error}") from error
    if (widths == widths[0]).all():
        return values.reshape(len(widths), -1)
    starts = np.cumsum(widths) - widths
    return values[starts[:, None] + np.arange(least)]


def _faces(
    text: bytes, vertex_count: int, uv_count: int | None, limits: ScanLimits
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangles, their texture corners (-1 where there are none) and the face line of each."""
    at, corners = word_places(text)
    starts = np.cumsum(corners) - corners
    if (corners < 3).any():
        raise ScanError(
            f"a face has {corners.min()} corners, expected 3 or more: it is damaged or cut short."
        )
    check_counts(vertex_count, int((corners - 2).sum()), limits)
    slash = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("/"))
    slashes = np.bincount(np.searchsorted(at, slash, side="right") - 1, minlength=len(at))
    values = read_integers(text.replace(b"//", b"/0/").replace(b"/", b" "))
    # A corner never holds more numbers than its slashes part: where the sums agree, each of them does.
    if len(values) != len(at) + len(slash) or (slashes != np.repeat(slashes[starts], corners)).any():
        raise ScanError("the corners of a face are not of one kind (as in '1/1 2/2 3'): it is damaged.")
    first = np.cumsum(slashes + 1) - slashes - 1
    faces = triangles_of_polygons(_zero_based(values[first], vertex_count), starts, corners)
    line = np.repeat(np.arange(len(corners)), corners - 2)
    if uv_count is None:
        return faces, np.full_like(faces, -1), line
    hollow = slash[:-1][np.diff(slash) == 1]
    plain = slashes > 0
    plain[np.searchsorted(at, hollow, side="right") - 1] = False
    uv_corners = np.full(len(at), -1, dtype=np.int64)
    uv_corners[plain] = _zero_based(values[first[plain] + 1], uv_count)
    return faces, triangles_of_polygons(uv_corners, starts, corners), line


def _zero_based(index: np.ndarray, count: int) -> np.ndarray:
    """OBJ counts from 1, or from the end with negative numbers.

    Negative numbers count from what was read so far; at the end of a file that is the same for the files that
    declare all vertices before the first face, which is what scanners write.
    """
    if (index == 0).any():
        raise ScanError("a face uses vertex 0, but OBJ counts from 1: it is damaged.")
    return np.where(index < 0, index + count, index - 1)


def _texture(
    libraries: list[bytes], used: set[bytes], files: SiblingFiles, notes: list[str]
) -> np.ndarray | None:
    """The one picture that all used materials name; several or unreadable ones are noted."""
    pictures: dict[bytes, str] = {}
    for library in libraries:
        try:
            pictures |= _diffuse_maps(files.read(_text(library)))
        except ScanError as error:
            notes.append(f"material file: {error}")
    # Where a file does not say which material it uses, its only one is meant.
    names = {pictures[name] for name in used if name in pictures}
    names = names or ({*pictures.values()} if used == {b""} else set())
    if len(names) > 1:
        notes.append(f"it has {len(names)} textures, and only one can be used: all left aside")
        return None
    for name in names:
        try:
            return files.texture(name)
        except ScanError as error:
            notes.append(f"texture: {error}")
    return None


def _diffuse_maps(data: bytes) -> dict[bytes, str]:
    maps: dict[bytes, str] = {}
    material = b""
    for text in data.splitlines():
        keyword, _, rest = text.strip().partition(b" ")
        if keyword == b"newmtl":
            material = rest.strip()
        elif keyword == b"map_Kd":
            # Options (-s 1 1 1) come before the name; a name may hold spaces.
            rest = rest.strip()
            maps[material] = _text(rest.split()[-1] if rest.startswith(b"-") and rest.split() else rest)
    return maps


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")
