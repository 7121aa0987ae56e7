"""A depth picture with colour: checked, smoothed, and as a surface in the camera's frame (OpenCV, mm)."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray

from facewright.core.errors import InputError
from facewright.image.sample import sample_bilinear
from facewright.registration.surface import LEAST, ScanSurface, large_pieces

FOCAL_SIDES = (0.3, 10.0)  # a focal length outside of this many sides of its image is a mistake
LEAST_MEDIAN, MOST_MEDIAN = 10.0, 10_000.0  # mm; outside of it depth is in another unit
ASPECT_OFF = 0.02  # relative; a colour picture of another shape than this shows another field of view
STEEP, STEP = 5.0, 3.0  # neighbours further apart in depth than STEEP pixels across + STEP mm: an edge
SIMILAR = 6.0  # mm in depth, within which neighbours are averaged
BEHIND = 250.0  # mm in front of or behind the face: what lies beyond is left aside


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera in pixels: origin at the corner of the top-left pixel, centres at +0.5.

    Attributes:
        fx: focal length across.
        fy: focal length down.
        cx: principal point, x.
        cy: principal point, y.
    """

    fx: float
    fy: float
    cx: float
    cy: float

    def scaled(self, across: float, down: float) -> "Intrinsics":
        """The same view in an image that is so many times as wide and high."""
        return Intrinsics(self.fx * across, self.fy * down, self.cx * across, self.cy * down)

    def rays(self, pixels: Float[ndarray, "*N 2"]) -> Float[ndarray, "*N 2"]:
        """``(X / Z, Y / Z)`` of what is seen at some pixels."""
        return (pixels - [self.cx, self.cy]) / [self.fx, self.fy]


@dataclass(frozen=True)
class DepthImage:
    """A frame of a depth camera; made and checked by ``depth_image``.

    Attributes:
        name: of the file, for messages.
        depth: mm along the camera's +Z; 0 where there is none.
        colors: sRGB, of the same view; perhaps of another size.
        intrinsics: of ``depth``.
        notes: what was inferred, one line each.
    """

    name: str
    depth: Float[ndarray, "H W"]
    colors: UInt8[ndarray, "H2 W2 3"]
    intrinsics: Intrinsics
    notes: tuple[str, ...] = ()

    @property
    def color_scale(self) -> Float[ndarray, " 2"]:
        """Pixels of the colour picture for one pixel of depth, across and down."""
        (height, width), (tall, wide) = self.depth.shape, self.colors.shape[:2]
        return np.array([wide / width, tall / height])


def depth_image(name: str, depth: ndarray, colors: ndarray, intrinsics: Intrinsics) -> DepthImage:
    """Check a frame.

    Args:
        name: of it, for messages.
        depth: (H, W) mm; 0, negative or not finite where there is none.
        colors: (H2, W2, 3) sRGB bytes of the same view.
        intrinsics: of the depth picture.

    Raises:
        InputError: it has no depth, depth in another unit, or intrinsics or colours that do not fit.
    """
    if depth.ndim != 2 or colors.ndim != 3 or colors.shape[2] != 3 or colors.dtype != np.uint8:
        raise InputError(
            f"{name}: expected depth (H, W) and colours (H, W, 3) as bytes, got {depth.shape} and "
            f"{colors.shape} {colors.dtype}."
        )
    depth = depth.astype(np.float64)
    depth = np.where(np.isfinite(depth) & (depth > 0), depth, 0.0)
    valid = depth[depth > 0]
    if len(valid) == 0:
        raise InputError(f"{name}: its depth picture has no valid pixel: all {depth.size} are empty.")
    _check_unit(name, float(np.median(valid)))
    if len(valid) < LEAST:
        raise InputError(f"{name}: {len(valid)} pixels with depth are too few for a face: {LEAST} at least.")
    (height, width), (tall, wide) = depth.shape, colors.shape[:2]
    _check_intrinsics(name, intrinsics, height, width)
    if abs(wide * height / (width * tall) - 1) > ASPECT_OFF:
        raise InputError(
            f"{name}: depth of {width} x {height} and colour of {wide} x {tall} pixels are of another shape: "
            "expected one view; cut the colour picture to what the depth shows."
        )
    notes = ()
    if (tall, wide) != (height, width):
        notes = (
            f"colour of {wide} x {tall} and depth of {width} x {height} pixels: the intrinsics, taken as "
            f"those of the depth, were scaled by {wide / width:.3g} for the colour",
        )
    return DepthImage(name, depth, colors, intrinsics, notes)


def _check_unit(name: str, median: float) -> None:
    if not LEAST_MEDIAN <= median <= MOST_MEDIAN:
        seems = "metres" if median < LEAST_MEDIAN else "tenths of a millimetre or finer"
        raise InputError(
            f"{name}: the median depth is {median:.4g}, which seems to be in {seems}: expected mm; set "
            "depth_scale to the millimetres of one step of depth."
        )


def _check_intrinsics(name: str, intrinsics: Intrinsics, height: int, width: int) -> None:
    values = (intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy)
    if not np.isfinite(values).all():
        raise InputError(f"{name}: expected finite intrinsics fx, fy, cx, cy, got {values}.")
    side = max(height, width)
    low, high = (share * side for share in FOCAL_SIDES)
    for key, focal in (("fx", intrinsics.fx), ("fy", intrinsics.fy)):
        if not low <= focal <= high:
            raise InputError(
                f"{name}: {key} = {focal:.5g} px does not fit depth of {width} x {height} px: expected "
                f"{low:.0f} to {high:.0f}; are these the intrinsics of another image size?"
            )
    if not (0 <= intrinsics.cx <= width and 0 <= intrinsics.cy <= height):
        raise InputError(
            f"{name}: the principal point ({intrinsics.cx:.5g}, {intrinsics.cy:.5g}) lies outside of depth "
            f"of {width} x {height} px: are these the intrinsics of another image size?"
        )


def near_face(image: DepthImage, pixels: Float[ndarray, "L 2"], reach: float = 1.2) -> DepthImage:
    """Leave aside what lies far from a face, in the picture and in depth.

    Args:
        image: the frame.
        pixels: landmarks of the face, px of the depth picture.
        reach: how far around the landmarks' box is kept, in its sides.

    Raises:
        InputError: there is no depth where the face is.
    """
    height, width = image.depth.shape
    low, high = pixels.min(0), pixels.max(0)
    margin = reach * (high - low).max()
    row, column = np.mgrid[:height, :width] + 0.5
    at = image.depth[_cells(pixels, image.depth.shape)]
    if not (at > 0).any():
        raise InputError(f"{image.name}: the depth picture is empty where its face is.")
    middle = float(np.median(at[at > 0]))
    kept = (column >= low[0] - margin) & (column <= high[0] + margin)
    kept &= (row >= low[1] - margin) & (row <= high[1] + margin)
    kept &= abs(image.depth - middle) < BEHIND
    return replace(image, depth=np.where(kept, image.depth, 0.0))


def smoothed(image: DepthImage, radius: float) -> DepthImage:
    """Average depth within a radius (mm on the surface) among neighbours of similar depth.

    Depth cameras are off by a millimetre from pixel to pixel, which leaves no normal to be believed.
    """
    valid = image.depth > 0
    pixel = float(np.median(image.depth[valid])) / image.intrinsics.fx
    sigma = radius / pixel
    reach = int(np.ceil(2 * sigma))
    if sigma < 0.3:
        return image
    # Only where there is depth: around a face most of a frame is empty.
    window = tuple(slice(int(filled.min()), int(filled.max()) + 1) for filled in np.nonzero(valid))
    depth, padded = image.depth[window], np.pad(image.depth[window], reach)
    total, weights = np.zeros_like(depth), np.zeros_like(depth)
    height, width = depth.shape
    for down in range(2 * reach + 1):
        for across in range(2 * reach + 1):
            other = padded[down : down + height, across : across + width]
            apart = np.hypot(down - reach, across - reach)
            # Further away a slope alone makes neighbours differ.
            similar = np.exp(-0.5 * ((other - depth) / (SIMILAR + apart * pixel)) ** 2)
            weight = np.exp(-0.5 * (apart / sigma) ** 2) * similar * (other > 0)
            total += weight * other
            weights += weight
    averaged = np.zeros_like(image.depth)
    averaged[window] = np.where(valid[window], total / weights.clip(1e-12), 0.0)
    return replace(image, depth=averaged)


def surface_of_depth(image: DepthImage) -> ScanSurface:
    """Triangles between neighbouring pixels, cut where depth jumps; facing the camera.

    Raises:
        InputError: no surface is left.
    """
    points = back_projected(image)
    faces = _faces(image)
    if len(faces):
        faces = faces[large_pieces(faces, image.depth.size)]
    used, packed = np.unique(faces, return_inverse=True)
    if len(used) < LEAST:
        raise InputError(f"{image.name}: its depth is too scattered to be a surface.")
    return ScanSurface(
        name=image.name,
        vertices=points.reshape(-1, 3)[used],
        faces=packed.reshape(-1, 3).astype(np.int64),
        colors=_colors(image).reshape(-1, 3)[used],
        uv=None,
        uv_faces=None,
        texture=None,
        spacing=0.0,
        notes=image.notes,
    )


def back_projected(image: DepthImage) -> Float[ndarray, "H W 3"]:
    """The point under the centre of each pixel, mm; 0 where there is none."""
    height, width = image.depth.shape
    row, column = np.mgrid[:height, :width] + 0.5
    rays = image.intrinsics.rays(np.stack([column, row], -1))
    return np.concatenate([rays, np.ones((height, width, 1))], -1) * image.depth[..., None]


def points_under(image: DepthImage, pixels: Float[ndarray, "L 2"]) -> Float[ndarray, "L 3"]:
    """Points of the surface under pixels of the depth picture, mm; NaN where there is no depth or an edge."""
    depth = image.depth
    row, column = _cells(pixels, depth.shape)
    padded = np.pad(depth, 1)
    around = np.stack([padded[row + i, column + j] for i in range(3) for j in range(3)], -1)
    at = depth[row, column]
    apart = np.abs(np.where(around > 0, around, at[:, None]) - at[:, None]).max(1)
    believed = (at > 0) & ((around > 0).sum(1) >= 6) & (apart < _most_step(image, at))
    height, width = depth.shape
    believed &= ((pixels >= 0) & (pixels < [width, height])).all(1)
    points = np.concatenate([image.intrinsics.rays(pixels), np.ones((len(pixels), 1))], 1) * at[:, None]
    return np.where(believed[:, None], points, np.nan)


def _cells(pixels: ndarray, shape: tuple[int, ...]) -> tuple[ndarray, ndarray]:
    """Row and column of the pixels, brought into the picture."""
    column, row = np.floor(pixels).astype(np.int64).T
    return row.clip(0, shape[0] - 1), column.clip(0, shape[1] - 1)


def _most_step(image: DepthImage, depth: ndarray) -> ndarray:
    """Largest step between neighbours of one surface, mm."""
    return STEEP * depth / min(image.intrinsics.fx, image.intrinsics.fy) + STEP


def _faces(image: DepthImage) -> ndarray:
    depth = image.depth.ravel()
    number = np.arange(depth.size).reshape(image.depth.shape)
    a, b, c, d = number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]
    # Rows go down and depth away from the camera: this order is counter-clockwise for the camera.
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    corners = depth[faces]
    whole = (corners > 0).all(1) & (np.ptp(corners, axis=1) < _most_step(image, corners.min(1)))
    return faces[whole]


def _colors(image: DepthImage) -> UInt8[ndarray, "H W 3"]:
    height, width = image.depth.shape
    if image.colors.shape[:2] == (height, width):
        return image.colors
    row, column = np.mgrid[:height, :width] + 0.5
    pixels = torch.from_numpy(np.stack([column, row], -1).reshape(-1, 2) * image.color_scale).float()
    picture = torch.from_numpy(image.colors.copy()).float().permute(2, 0, 1)
    values = sample_bilinear(picture[None], pixels[None])[0]
    return values.round().to(torch.uint8).numpy().reshape(height, width, 3)
