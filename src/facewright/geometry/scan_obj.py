"""Wavefront OBJ with vertex colours, materials and one texture; vertices keep the order of the file."""

from collections import defaultdict

import numpy as np

from facewright.core.errors import ScanError
from facewright.geometry.number_text import read_floats, read_integers
from facewright.geometry.scan import RawScan, ScanLimits, check_counts
from facewright.geometry.scan_io import SiblingFiles

_KEPT = (b"v", b"vt", b"f", b"mtllib", b"usemtl")


def read_obj(data: bytes, files: SiblingFiles, limits: ScanLimits) -> RawScan:
    """Positions, colours, faces (polygons as fans) and, where all faces share one, the texture."""
    rows, material_of = _sorted_lines(data)
    check_counts(len(rows[b"v"]), len(rows[b"f"]), limits)
    points = _numbers(rows[b"v"], "v")
    vertices = points[:, :3]
    colors = points[:, 3:6] if points.shape[1] >= 6 else None
    uv = _numbers(rows[b"vt"], "vt")[:, :2] if rows[b"vt"] else None
    faces, uv_faces, line = _faces(rows[b"f"], len(vertices), 0 if uv is None else len(uv), limits)
    notes: list[str] = []
    if uv is not None and len(uv_faces) and (uv_faces < 0).any():
        notes.append("some faces have no texture coordinates: the texture is left aside")
        uv = None
    texture = None
    if uv is not None:
        used = {material_of[number] for number in np.unique(line).tolist()}
        texture = _texture(rows[b"mtllib"], used, files, notes)
    return RawScan(vertices, faces, colors, uv, None if uv is None else uv_faces, texture, tuple(notes))


def _sorted_lines(data: bytes) -> tuple[dict[bytes, list[bytes]], list[bytes]]:
    """The lines by their keyword without it, and the material of each face line."""
    rows: dict[bytes, list[bytes]] = defaultdict(list)
    material_of: list[bytes] = []
    material = b""
    for text in data.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ").splitlines():
        keyword, _, rest = text.strip().partition(b" ")
        if keyword not in _KEPT:
            keyword, _, rest = text.strip().partition(b"\t")
            if keyword not in _KEPT:
                continue
        rest = rest.partition(b"#")[0].strip()
        if keyword == b"usemtl":
            material = rest
            continue
        rows[keyword].append(rest)
        if keyword == b"f":
            material_of.append(material)
    return rows, material_of


def _numbers(lines: list[bytes], keyword: str) -> np.ndarray:
    if not lines:
        raise ScanError("there is no vertex in it: export the scan again.")
    width = len(lines[0].split())
    least = 3 if keyword == "v" else 2
    try:
        values = read_floats(b"\n".join(lines))
    except ScanError as error:
        raise ScanError(f"a line '{keyword}' holds no number: {error}") from error
    if len(values) == width * len(lines) and width >= least:
        return values.reshape(len(lines), width)
    shortest = min(len(line.split()) for line in lines)
    if shortest < least:
        raise ScanError(f"a line '{keyword}' has {shortest} numbers, expected {least}: it is cut short.")
    return np.array([[float(value) for value in line.split()[:least]] for line in lines])


def _faces(
    lines: list[bytes], vertex_count: int, uv_count: int, limits: ScanLimits
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangles, their texture corners (-1 where there are none) and the face line of each."""
    groups: dict[tuple[int, int, bool], list[int]] = defaultdict(list)
    for number, text in enumerate(lines):
        groups[len(text.split()), text.count(b"/"), b"//" in text].append(number)
    empty = np.zeros((0, 3), dtype=np.int64)
    parts, uv_parts, line_parts = [empty], [empty], [np.zeros(0, dtype=np.int64)]
    for (corners, slashes, hollow), numbers in groups.items():
        if corners < 3 or slashes % corners:
            raise ScanError(f"a face line reads {lines[numbers[0]][:40]!r}: it is damaged or cut short.")
        check_counts(vertex_count, (corners - 2) * len(numbers), limits)
        text = b" ".join(lines[number] for number in numbers)
        fields = slashes // corners + 1
        text = text.replace(b"//", b" 0 ") if hollow else text
        values = read_integers(text.replace(b"/", b" "))
        values = values.reshape(len(numbers), corners, fields)
        parts.append(_fans(_zero_based(values[..., 0], vertex_count)))
        plain = fields > 1 and not hollow
        uv_parts.append(
            _fans(_zero_based(values[..., 1], uv_count)) if plain else np.full_like(parts[-1], -1)
        )
        line_parts.append(np.repeat(numbers, corners - 2))
    line = np.concatenate(line_parts)
    order = np.argsort(line, kind="stable")
    return np.concatenate(parts)[order], np.concatenate(uv_parts)[order], line[order]


def _zero_based(index: np.ndarray, count: int) -> np.ndarray:
    """OBJ counts from 1, or from the end with negative numbers.

    Negative numbers count from what was read so far; at the end of a file that is the same for the files that
    declare all vertices before the first face, which is what scanners write.
    """
    if (index == 0).any():
        raise ScanError("a face uses vertex 0, but OBJ counts from 1: it is damaged.")
    return np.where(index < 0, index + count, index - 1)


def _fans(polygons: np.ndarray) -> np.ndarray:
    corners = polygons.shape[1]
    fans = [polygons[:, [0, k, k + 1]] for k in range(1, corners - 1)]
    return np.stack(fans, axis=1).reshape(-1, 3)


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
