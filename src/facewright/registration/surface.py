"""A scan made ready: facing outward, without crumbs, and with a surface even if it is a cloud of points."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8
from numpy import ndarray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from facewright.core.errors import ScanError
from facewright.geometry.scan import Scan

CRUMB = 0.02  # pieces with less than this share of the largest piece's triangles are left aside
MAX_POINTS = 250_000  # of a cloud
NEIGHBOURS = 12
STRAY = 6.0  # a point whose neighbours are this many times further away than usual is a stray
SQUARE, WIDEST = 0.75, 3.0  # half a square's side in gaps between points, and the widest gap in usual ones
LEAST = 200  # vertices; a face cannot be told from fewer


@dataclass(frozen=True)
class ScanSurface:
    """A scan as a surface, in the units of its file until ``scaled``.

    Attributes:
        name: of the file.
        vertices: positions.
        faces: triangles, counter-clockwise from outside.
        colors: sRGB at the vertices, None if the scan has none.
        uv: texture coordinates; None without a texture.
        uv_faces: rows of ``uv`` for each corner; None without a texture.
        texture: sRGB, row 0 is v = 1; None if the scan has none.
        spacing: distance of neighbouring points of a cloud; 0 for a mesh.
        notes: what was left aside or changed, one line each.
    """

    name: str
    vertices: Float[ndarray, "V 3"]
    faces: Int64[ndarray, "F 3"]
    colors: UInt8[ndarray, "V 3"] | None
    uv: Float[ndarray, "T 2"] | None
    uv_faces: Int64[ndarray, "F 3"] | None
    texture: UInt8[ndarray, "H W 3"] | None
    spacing: float
    notes: tuple[str, ...]

    @property
    def colored(self) -> bool:
        """Whether it has colours of any kind."""
        return self.texture is not None or self.colors is not None

    def scaled(self, factor: float) -> "ScanSurface":
        """The same surface in another unit."""
        return replace(self, vertices=self.vertices * factor, spacing=self.spacing * factor)


def surface_of_scan(scan: Scan) -> ScanSurface:
    """Make a scan ready.

    Raises:
        ScanError: it has too few points, or no extent.
    """
    if len(scan.vertices) < LEAST:
        raise ScanError(
            f"{scan.name}: {len(scan.vertices)} vertices are too few for a face: {LEAST} at least."
        )
    if not np.ptp(scan.vertices, axis=0).max() > 0:
        raise ScanError(f"{scan.name}: all its points lie in one place.")
    return _of_mesh(scan) if len(scan.faces) else _of_points(scan)


def _of_mesh(scan: Scan) -> ScanSurface:
    notes = list(scan.notes)
    faces, uv_faces = scan.faces, scan.uv_faces
    kept = large_pieces(faces, len(scan.vertices))
    if not kept.all():
        notes.append(f"{int((~kept).sum())} triangles in small separate pieces were left aside")
        faces, uv_faces = faces[kept], None if uv_faces is None else uv_faces[kept]
    if _inside_out(scan.vertices, faces):
        notes.append("its triangles faced inward and were turned")
        faces, uv_faces = faces[:, ::-1], None if uv_faces is None else uv_faces[:, ::-1]
    used, packed = np.unique(faces, return_inverse=True)
    textured = scan.texture is not None and scan.uv is not None and uv_faces is not None
    return ScanSurface(
        name=scan.name,
        vertices=scan.vertices[used],
        faces=packed.reshape(-1, 3).astype(np.int64),
        colors=None if scan.colors is None else scan.colors[used],
        uv=scan.uv if textured else None,
        uv_faces=np.ascontiguousarray(uv_faces) if textured and uv_faces is not None else None,
        texture=scan.texture if textured else None,
        spacing=0.0,
        notes=tuple(notes),
    )


def large_pieces(faces: Int64[ndarray, "F 3"], count: int) -> Bool[ndarray, " F"]:
    """Triangles that hang together with many others; ``count``: of the vertices."""
    ends = np.concatenate([faces[:, :2], faces[:, 1:]])
    graph = coo_matrix((np.ones(len(ends), dtype=np.int8), (ends[:, 0], ends[:, 1])), shape=(count, count))
    _, piece = connected_components(graph, directed=False)
    own = piece[faces[:, 0]]
    sizes = np.bincount(own)
    return sizes[own] >= CRUMB * sizes.max()


def _inside_out(vertices: ndarray, faces: ndarray) -> bool:
    """A face or head bulges outward: seen from its middle most of its surface shows the back."""
    a, b, c = vertices[faces].transpose(1, 0, 2)
    normal = np.cross(b - a, c - a)
    area = np.linalg.norm(normal, axis=1, keepdims=True)
    centre = (a + b + c) / 3
    middle = (centre * area).sum(0) / area.sum().clip(1e-30)
    away = centre - middle
    away /= np.linalg.norm(away, axis=1, keepdims=True).clip(1e-30)
    return bool((normal * away).sum() < 0)


def _gaps(distance: ndarray, near: ndarray) -> ndarray:
    """(N,) how wide the gaps between points are around each.

    The largest distance of a fourth neighbour in the neighbourhood: on a grid it is the same everywhere,
    while points strewn at random leave gaps through which squares of the usual size show the back of a head.
    """
    return distance[:, 4][near].max(1)


def _of_points(scan: Scan) -> ScanSurface:
    """A small square at each point, in the plane of its neighbours."""
    notes = [*scan.notes, "it is a cloud of points: small squares stand for its surface"]
    points, colors = scan.vertices, scan.colors
    if len(points) > MAX_POINTS:
        chosen = np.sort(np.random.default_rng(0).permutation(len(points))[:MAX_POINTS])
        notes.append(f"{MAX_POINTS} of its {len(points)} points were used")
        points, colors = points[chosen], None if colors is None else colors[chosen]
    distance, near = map(np.asarray, KDTree(points).query(points, k=NEIGHBOURS))
    reach = distance[:, NEIGHBOURS // 2]
    usual = float(np.median(reach))
    dense = (reach <= STRAY * usual) & (distance[:, -1] > 0)
    if not dense.all():
        notes.append(f"{int((~dense).sum())} stray points were left aside")
    spacing = float(np.median(distance[dense, 1:5].mean(1)))
    half = SQUARE * np.minimum(_gaps(distance, near)[dense], WIDEST * spacing)
    patches = points[near[dense]]
    points, colors = points[dense], None if colors is None else colors[dense]
    if len(points) < LEAST or spacing <= 0:
        raise ScanError(f"{scan.name}: it has no surface: its points are strays or lie in one place.")
    centred = patches - patches.mean(1, keepdims=True)
    _, axes = np.linalg.eigh(np.einsum("nka,nkb->nab", centred, centred))
    normal, first = axes[:, :, 0], axes[:, :, 2]
    away = points - points.mean(0)
    normal = np.where(((normal * away).sum(1) < 0)[:, None], -normal, normal)
    first, second = half[:, None] * first, half[:, None] * np.cross(normal, first)
    corners = [first + second, -first + second, -first - second, first - second]
    vertices = np.stack([points + corner for corner in corners], axis=1).reshape(-1, 3)
    base = 4 * np.arange(len(points))[:, None]
    faces = np.concatenate([base + np.array([0, 1, 2]), base + np.array([0, 2, 3])])
    return ScanSurface(
        scan.name,
        vertices,
        faces.astype(np.int64),
        None if colors is None else np.repeat(colors, 4, axis=0),
        None,
        None,
        None,
        spacing,
        tuple(notes),
    )
