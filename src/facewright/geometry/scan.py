"""What a scan file holds, checked: positions, triangles, colours and texture, in the file's own units."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64, UInt8
from numpy import ndarray

from facewright.core.errors import ScanError


@dataclass(frozen=True)
class ScanLimits:
    """What is accepted of a file that nobody vouches for.

    Attributes:
        max_bytes: of the file, and of what it unpacks to.
        max_vertices: points.
        max_faces: triangles.
        max_texture_pixels: of a texture, checked before it is decoded.
    """

    max_bytes: int = 2 << 30
    max_vertices: int = 20_000_000
    max_faces: int = 40_000_000
    max_texture_pixels: int = 128_000_000


@dataclass(frozen=True)
class Scan:
    """A scan in the units and the frame of its file; nothing is guessed here.

    Attributes:
        name: of the file, for messages.
        vertices: finite positions.
        faces: triangles in the file's winding; no row for a point cloud.
        file_vertex: number (from 0) of each vertex in the file; vertices that no face uses are left out.
        colors: sRGB of each vertex, None if the file has none.
        uv: texture coordinates, origin bottom-left, v up; None if the file has none.
        uv_faces: rows of ``uv`` for each corner of each face, None if the file has none.
        texture: sRGB, row 0 is v = 1; None if the file names none that can be read.
        notes: what of the file was left aside, and why; one line each.
    """

    name: str
    vertices: Float[ndarray, "V 3"]
    faces: Int64[ndarray, "F 3"]
    file_vertex: Int64[ndarray, " V"]
    colors: UInt8[ndarray, "V 3"] | None = None
    uv: Float[ndarray, "T 2"] | None = None
    uv_faces: Int64[ndarray, "F 3"] | None = None
    texture: UInt8[ndarray, "H W 3"] | None = None
    notes: tuple[str, ...] = ()


@dataclass
class RawScan:
    """What a reader found in a file, before anything of it is believed."""

    vertices: ndarray
    faces: ndarray
    colors: ndarray | None = None
    uv: ndarray | None = None
    uv_faces: ndarray | None = None
    texture: ndarray | None = None
    notes: tuple[str, ...] = ()


def check_counts(vertices: int, faces: int, limits: ScanLimits) -> None:
    """Refuse counts before memory is taken for them.

    Raises:
        ScanError: there are more than the limits allow, or less than none.
    """
    if not (0 <= vertices <= limits.max_vertices and 0 <= faces <= limits.max_faces):
        raise ScanError(
            f"it declares {vertices} vertices and {faces} faces: expected at most {limits.max_vertices} and "
            f"{limits.max_faces}; reduce the scan first."
        )


def checked_scan(name: str, raw: RawScan, limits: ScanLimits) -> Scan:
    """Believe what a reader found, or say what is wrong with it.

    Degenerate triangles and vertices that no triangle uses are left out. Surfaces that are not manifold, have
    holes or fall into pieces are accepted.

    Raises:
        ScanError: nothing is in it, a number is not finite, or an index points outside.
    """
    vertices = np.ascontiguousarray(raw.vertices, dtype=np.float64).reshape(-1, 3)
    faces = np.ascontiguousarray(raw.faces, dtype=np.int64).reshape(-1, 3)
    check_counts(len(vertices), len(faces), limits)
    if len(vertices) == 0:
        raise ScanError("there is no vertex in it: export the scan again.")
    _check_indices(faces, len(vertices), "vertices")
    notes = list(raw.notes)
    finite = np.isfinite(vertices).all(axis=1)
    kept = _distinct_corners(faces)
    used = np.zeros(len(vertices), dtype=bool)
    used[faces[kept]] = True
    if len(faces) and not kept.any():
        raise ScanError("none of its faces has three different corners: export the scan again.")
    if len(faces) == 0:
        used[:] = True
    bad = int(np.count_nonzero(used & ~finite))
    if bad:
        raise ScanError(
            f"{bad} of its {np.count_nonzero(used)} vertices are NaN or infinite: remove them first."
        )
    uv, uv_faces = _checked_uv(raw, len(faces), notes)
    colors = raw.colors
    if colors is not None and len(colors) != len(vertices):
        notes.append(f"{len(colors)} colours for {len(vertices)} vertices: left aside")
        colors = None
    number = np.cumsum(used) - 1
    return Scan(
        name=name,
        vertices=vertices[used],
        faces=number[faces[kept]].astype(np.int64),
        file_vertex=np.flatnonzero(used).astype(np.int64),
        colors=None if colors is None else bytes_of_colors(colors)[used],
        uv=uv,
        uv_faces=None if uv_faces is None else uv_faces[kept],
        texture=raw.texture,
        notes=tuple(notes),
    )


def bytes_of_colors(colors: ndarray) -> UInt8[ndarray, "V 3"]:
    """Colours as bytes, whether they came as bytes, as 0..1 or as 0..255."""
    values = np.asarray(colors)[:, :3]
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    values = np.nan_to_num(values.astype(np.float64))
    scale = 255.0 if values.max(initial=0.0) <= 1.0 else 1.0
    return (values * scale + 0.5).clip(0, 255).astype(np.uint8)


def _distinct_corners(faces: ndarray) -> ndarray:
    a, b, c = faces.T
    return (a != b) & (b != c) & (c != a)


def _check_indices(faces: ndarray, count: int, what: str) -> None:
    if len(faces) and (faces.min() < 0 or faces.max() >= count):
        raise ScanError(
            f"its faces use {what} {faces.min()} to {faces.max()}, but it has 0 to {count - 1}: "
            "it is damaged or cut short."
        )


def _checked_uv(raw: RawScan, face_count: int, notes: list[str]) -> tuple[ndarray | None, ndarray | None]:
    if raw.uv is None or raw.uv_faces is None or face_count == 0 or len(raw.uv) == 0:
        return None, None
    uv = np.ascontiguousarray(raw.uv, dtype=np.float64).reshape(-1, 2)
    uv_faces = np.ascontiguousarray(raw.uv_faces, dtype=np.int64).reshape(-1, 3)
    _check_indices(uv_faces, len(uv), "texture coordinates")
    if len(uv_faces) != face_count or not np.isfinite(uv).all():
        notes.append("its texture coordinates are incomplete or not finite: left aside")
        return None, None
    return uv, uv_faces
