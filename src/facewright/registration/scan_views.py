"""Pictures of a scan from any side, and where on the scan each pixel lies."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from scipy import ndimage
from torch import Tensor

from facewright.geometry.mesh import Topology
from facewright.image.color import linear_from_srgb, srgb_from_linear
from facewright.registration.surface import ScanSurface
from facewright.render.draw import Lighting, shade
from facewright.render.fragments import Fragments
from facewright.render.rasterize import rasterize
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import soft_light
from facewright.scene.material import Material

DISTANCE = 6.0  # from the camera to what it looks at, in radii of what fills the picture
BACKDROP = 0.35  # sRGB grey
LARGEST_HOLE = 0.03  # share of what is covered, above which an empty place is no hole
PLASTER = 0.75  # linear albedo of a scan without colours
PLASTER_LIGHT, COLOR_LIGHT = (0.42, 0.48), (0.8, 0.15)  # level, and how much more comes from the camera


@dataclass(frozen=True)
class ScanView:
    """One picture of a scan.

    Attributes:
        picture: sRGB in [0, 1].
        fragments: which triangle each pixel sees.
        camera_from_scan: rotation.
        middle: what the camera looks at, in the scan's frame.
        camera: looks at ``middle`` from ``distance``.
        distance: in the scan's unit.
    """

    picture: Float[Tensor, "3 H W"]
    fragments: Fragments
    camera_from_scan: Float[ndarray, "3 3"]
    middle: Float[ndarray, " 3"]
    camera: PerspectiveCamera
    distance: float


@dataclass(frozen=True)
class Viewer:
    """A scan prepared for drawing; made by ``viewer_of``.

    Attributes:
        vertices: positions, in the scan's frame and unit.
        topology: triangles and texture coordinates.
        material: the scan's own colours, or plaster.
    """

    vertices: Float[Tensor, "V 3"]
    topology: Topology
    material: Material

    def look(
        self,
        camera_from_scan: Float[ndarray, "3 3"],
        middle: Float[ndarray, " 3"],
        radius: float,
        size: int,
    ) -> ScanView:
        """Take a picture.

        Args:
            camera_from_scan: rotation; camera +Z looks into the picture, +Y down.
            middle: what is in the centre of the picture.
            radius: around it, what fills the picture.
            size: side of the picture in pixels.
        """
        distance = DISTANCE * radius
        turned = (self.vertices - torch.from_numpy(middle)) @ torch.from_numpy(camera_from_scan).T
        points = (turned + torch.tensor([0.0, 0.0, distance], dtype=torch.float64)).float()[None]
        focal = torch.tensor([0.5 * size * DISTANCE])
        camera = PerspectiveCamera(focal, torch.full((1, 2), size / 2), (size, size))
        fragments = rasterize(camera.project(points), self.topology.faces, camera.size, perspective=True)
        level, front = PLASTER_LIGHT if self.material.albedo is None else COLOR_LIGHT
        light = soft_light(1, level, above=0.6 * front, front=front)
        colors = shade(fragments, points, self.topology, self.material, Lighting(light))[0]
        covered = fragments.covered[0][..., None]
        picture = torch.where(covered, srgb_from_linear(colors.clamp(0, 1)), BACKDROP)
        picture = _without_holes(picture, covered[..., 0]).permute(2, 0, 1)
        return ScanView(picture.contiguous(), fragments, camera_from_scan, middle, camera, distance)

    def places(self, view: ScanView, pixels: Float[ndarray, "L 2"]) -> Float[ndarray, "L 3"]:
        """Points of the scan under pixels of a view; NaN where the view is empty."""
        size = view.camera.size[0]
        cell = np.floor(pixels).astype(np.int64)
        inside = ((cell >= 0) & (cell < size)).all(1)
        column, row = np.where(inside, cell.T, 0)
        triangle = view.fragments.triangle[0, row, column].long()
        share = view.fragments.barycentric[0, row, column].double()
        corners = self.vertices[self.topology.faces[triangle.clamp_min(0)]]
        places = (corners * share[..., None]).sum(1).numpy()
        # From the pixel's centre to the point inside of the pixel, across the view.
        depth = view.fragments.depth[0, row, column].double().numpy()
        aside = (pixels - cell - 0.5) * (depth / float(view.camera.focal[0]))[:, None]
        places = places + np.pad(aside, ((0, 0), (0, 1))) @ view.camera_from_scan
        places[~inside | (triangle.numpy() < 0)] = np.nan
        return places


def viewer_of(surface: ScanSurface, *, colored: bool = True) -> Viewer:
    """Prepare a scan for drawing.

    Args:
        surface: the scan.
        colored: with its own colours if it has any; otherwise as plaster.
    """
    faces = torch.from_numpy(surface.faces)
    uv, uv_faces = torch.zeros(1, 2), torch.zeros_like(faces)
    material = Material()
    if colored and surface.texture is not None and surface.uv is not None and surface.uv_faces is not None:
        uv, uv_faces = torch.from_numpy(surface.uv).float(), torch.from_numpy(surface.uv_faces)
        material = Material(
            albedo=torch.ones(1, len(surface.vertices), 3), albedo_map=_linear(surface.texture)[None]
        )
    elif colored and surface.colors is not None:
        material = Material(albedo=_linear(surface.colors)[None])
    if material.albedo is None:
        return Viewer(torch.from_numpy(surface.vertices), Topology(faces, uv, uv_faces), _plaster())
    return Viewer(torch.from_numpy(surface.vertices), Topology(faces, uv, uv_faces), material)


def looking(back: ndarray, up: ndarray) -> Float[ndarray, "3 3"]:
    """camera_from_scan of a camera that looks against ``back`` with ``up`` upward in its picture."""
    forward = -back / np.linalg.norm(back)
    down = -(up - (up @ forward) * forward)
    down /= np.linalg.norm(down)
    return np.stack([np.cross(down, forward), down, forward])


def _plaster() -> Material:
    grey = np.full((1, 1, 3), PLASTER, dtype=np.float32)
    return Material(albedo_map=torch.from_numpy(grey)[None])


def _without_holes(picture: Float[Tensor, "H W 3"], covered: Bool[Tensor, "H W"]) -> Float[Tensor, "H W 3"]:
    """Close small holes with the colours around them: a finder of faces takes them for dark spots."""
    piece = np.zeros(covered.shape, dtype=np.int64)
    ndimage.label(~covered.numpy(), output=piece)
    size = np.bincount(piece.ravel())
    outer = np.concatenate([piece[0], piece[-1], piece[:, 0], piece[:, -1]])
    small = size <= LARGEST_HOLE * int(covered.sum())
    small[0] = False
    small[outer] = False
    left = small[piece]
    filled, known = picture.double().numpy(), covered.double().numpy()
    for reach in (1.0, 2.0, 4.0, 8.0, 16.0):
        if not left.any():
            break
        near = ndimage.gaussian_filter(known, reach, truncate=3.0)
        around = ndimage.gaussian_filter(filled * known[..., None], (reach, reach, 0), truncate=3.0)
        now = left & (near > 0.2 if reach < 16 else near > 1e-4)
        filled[now] = around[now] / near[now, None]
        left &= ~now
    return torch.from_numpy(filled).float()


def _linear(colors: UInt8[ndarray, "*N 3"]) -> Float[Tensor, "*N 3"]:
    # Of 256 values each is converted once: a texture has millions.
    table = linear_from_srgb(torch.arange(256, dtype=torch.float32) / 255).numpy()
    return torch.from_numpy(table[colors])
