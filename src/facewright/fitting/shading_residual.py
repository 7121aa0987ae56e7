"""How the brightness of points of a face differs from the photo's, and what moves that difference.

A moved vertex turns the normals around it, and slides the photo under the point; the Jacobian is analytic.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import grid_sample

from facewright.core.errors import InputError
from facewright.fitting.face_crop import FaceCrops
from facewright.fitting.shading_samples import SurfaceSamples
from facewright.geometry.normals import face_normals
from facewright.image.color import LUMINANCE_WEIGHTS, luminance
from facewright.render.shading import unit
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import SphericalHarmonicsLight, sh_basis_gradient


@dataclass(frozen=True)
class Ring:
    """Triangles around each vertex: those of vertex v are ``triangle[first[v] : first[v] + count[v]]``."""

    triangle: Int64[Tensor, " N"]
    first: Int64[Tensor, " V"]
    count: Int64[Tensor, " V"]


@dataclass(frozen=True)
class MovedSurface:
    """A mesh and what moves it.

    Attributes:
        faces: its triangles.
        ring: those around each vertex.
        basis: what each shape coefficient moves: x, y, z of each vertex.
    """

    faces: Int64[Tensor, "F 3"]
    ring: Ring
    basis: Float[Tensor, "M K"]


@dataclass(frozen=True)
class PhotoView:
    """One photo.

    Attributes:
        brightness: of the crop, and its slopes across and down.
        focal: of the crop, px.
        principal: likewise.
        light: that it is taken in.
    """

    brightness: Float[Tensor, "3 S S"]
    focal: Float[Tensor, ""]
    principal: Float[Tensor, " 2"]
    light: Float[Tensor, "9 3"]


@dataclass(frozen=True)
class Difference:
    """Rendered minus seen brightness, over the face's.

    Attributes:
        residual: of each sample.
        normal: unit.
        pull: gradient by the sum of the triangles' normals around each corner.
        slide: gradient by the point, as it moves over the photo.
    """

    residual: Float[Tensor, " P"]
    normal: Float[Tensor, "P 3"]
    pull: Float[Tensor, "P 3 3"]
    slide: Float[Tensor, "P 3"]


def photo_views(crops: FaceCrops, light: Float[Tensor, "B 9 3"]) -> list[PhotoView]:
    """Each photo with the slopes of its brightness.

    Raises:
        InputError: the camera is none with a perspective.
    """
    camera = crops.camera
    if not isinstance(camera, PerspectiveCamera):
        raise InputError("expected crops with a perspective camera, got a weak-perspective one.")
    rows = zip(_with_slopes(crops.images), camera.focal, camera.principal, light, strict=True)
    return [PhotoView(*row) for row in rows]


def rings(faces: Int64[Tensor, "F 3"], vertices: int) -> Ring:
    """The triangles around each of so many vertices."""
    flat = faces.flatten()
    count = torch.bincount(flat, minlength=vertices)
    return Ring(flat.argsort(stable=True) // 3, count.cumsum(0) - count, count)


def difference(
    view: PhotoView, samples: SurfaceSamples, vertices: Float[Tensor, "V 3"], faces: Int64[Tensor, "F 3"]
) -> Difference:
    """Compare a head (mm, camera frame) with a photo at samples of its surface."""
    corners, barycentric = samples.corners, samples.barycentric
    triangles = face_normals(vertices[None], faces)[0]
    sums = torch.zeros_like(vertices)
    for corner in range(3):
        sums.index_add_(0, faces[:, corner], triangles)
    lengths = sums[corners].norm(dim=-1).clamp_min(1e-9)
    own = sums[corners] / lengths[..., None]  # (P, 3, 3)
    mixed = (own * barycentric[..., None]).sum(1)
    normal = unit(mixed)
    lit = SphericalHarmonicsLight(view.light[None]).shading(normal[None])[0]
    point = (vertices[corners] * barycentric[..., None]).sum(1)
    seen, slope = _seen(view, point)
    residual = luminance(samples.albedo * lit) - seen / samples.typical
    weights = samples.albedo * (lit > 0) * samples.albedo.new_tensor(LUMINANCE_WEIGHTS)
    bend = torch.einsum("pkd,kc,pc->pd", sh_basis_gradient(normal), view.light, weights)
    bend = _across(bend, normal) / mixed.norm(dim=-1, keepdim=True).clamp_min(1e-9)
    pull = _across(bend[:, None], own) * (barycentric / lengths)[..., None]
    return Difference(residual, normal, pull, -slope / samples.typical)


def shape_jacobian(
    found: Difference,
    samples: SurfaceSamples,
    vertices: Float[Tensor, "V 3"],
    surface: MovedSurface,
    rotation: Float[Tensor, "3 3"],
    translation: Float[Tensor, " 3"],
) -> Float[Tensor, "P D"]:
    """Of the residuals by pose (turn, shift) and shape coefficients.

    Args:
        found: at the samples.
        samples: of the photo.
        vertices: mm, camera frame.
        surface: of the head.
        rotation: camera_from_head.
        translation: likewise, mm.
    """
    basis = surface.basis
    count, size = len(samples.share), (len(samples.share), len(basis))
    motion, coefficients = vertices.new_zeros(count, 6), vertices.new_zeros(count, basis.shape[1])
    for pairs, vertex, force in _vertex_gradients(found, samples, vertices, surface):
        row = torch.arange(count, device=pairs.device).repeat_interleave(pairs)
        turn = torch.linalg.cross(vertices[vertex] - translation, force)
        motion.index_add_(0, row, torch.cat([turn, force], 1))
        columns = (3 * vertex[:, None] + torch.arange(3, device=vertex.device)).flatten()
        index = torch.stack([row.repeat_interleave(3), columns])
        values = (force @ rotation).flatten()
        rows = torch.sparse_coo_tensor(index, values, size, check_invariants=False)
        coefficients = coefficients + torch.sparse.mm(rows, basis)
    return torch.cat([motion, coefficients], 1)


def _across(vectors: Tensor, normals: Tensor) -> Tensor:
    return vectors - (vectors * normals).sum(-1, keepdim=True) * normals


def _seen(view: PhotoView, points: Float[Tensor, "P 3"]) -> tuple[Tensor, Tensor]:
    """Brightness of the photo where points are projected to, and its gradient by the points."""
    rays = points[:, :2] / points[:, 2:]
    pixels = view.focal * rays + view.principal
    size = pixels.new_tensor([view.brightness.shape[-1], view.brightness.shape[-2]])
    place = (pixels / size * 2 - 1)[None, None]
    found = grid_sample(view.brightness[None], place, padding_mode="border", align_corners=False)
    value, across, down = found[0, :, 0]
    by_ray = view.focal * torch.stack([across, down, -(across * rays[:, 0] + down * rays[:, 1])], 1)
    return value, by_ray / points[:, 2:]


def _vertex_gradients(
    found: Difference, samples: SurfaceSamples, vertices: Tensor, surface: MovedSurface
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Gradients of the residuals by vertices (camera frame), through the normals and through the place.

    Each: pairs of sample and vertex for each sample; the vertices, sample after sample; the gradients.
    """
    ring, device = surface.ring, vertices.device
    around = ring.count[samples.corners.flatten()]
    corner = torch.arange(len(around), device=device).repeat_interleave(around)
    within = torch.arange(len(corner), device=device) - (around.cumsum(0) - around)[corner]
    triangle = surface.faces[ring.triangle[ring.first[samples.corners.flatten()][corner] + within]]
    a, b, c = vertices[triangle].unbind(1)
    # The normal a x b + b x c + c x a of a triangle changes by da x (b - c) when a moves, and so on.
    edges = torch.stack([b - c, c - a, a - b], 1)
    bent = torch.linalg.cross(edges, found.pull.flatten(0, 1)[corner][:, None].expand_as(edges))
    slid = found.slide[:, None] * samples.barycentric[..., None]
    return [
        (3 * around.view(-1, 3).sum(1), triangle.flatten(), bent.flatten(0, 1)),
        (torch.full_like(around[::3], 3), samples.corners.flatten(), slid.flatten(0, 1)),
    ]


def _with_slopes(images: Float[Tensor, "B S S 3"]) -> Float[Tensor, "B 3 S S"]:
    """Brightness of images and its central differences along x and y."""
    value = luminance(images)
    across, down = torch.zeros_like(value), torch.zeros_like(value)
    across[..., 1:-1] = (value[..., 2:] - value[..., :-2]) / 2
    down[:, 1:-1] = (value[:, 2:] - value[:, :-2]) / 2
    return torch.stack([value, across, down], 1)
