"""Read any photo a user has, as untrusted bytes, with bounded memory."""

import io
import math
import re
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageCms, UnidentifiedImageError
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from facewright.core.errors import ImageError

# Formats that Pillow decodes itself; PostScript and the like, which start other programs, are not here.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "JPEG2000", "PPM", "TGA")
# What is reduced as it is; everything else is brought to one of these before.
PLAIN_MODES = ("RGB", "L", "CMYK")
DARK = 32  # of 255; nothing in a photo is brighter where 12-bit values lie in 16 bits
STRIP_PIXELS = 4 << 20
EXIF_IFD, ORIENTATION, FOCAL_35MM = 0x8769, 0x0112, 0xA405
EXIF_WIDTH, EXIF_HEIGHT = 0xA002, 0xA003
# What brings a stored picture upright, by EXIF orientation. Source: CIPA DC-008 (Exif 2.32), section 4.6.4.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow raises on damaged metadata, found by fuzzing; a photo whose pixels are whole is read without.
METADATA_ERRORS = (
    struct.error,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    OSError,
    EOFError,
)
DIAGONAL_35MM = 43.267  # mm, of the 36 x 24 mm film. Source: CIPA DC-008 (Exif 2.32), FocalLengthIn35mmFilm.


@dataclass(frozen=True)
class PhotoLimits:
    """What is accepted, and at what size it is worked on.

    Attributes:
        max_bytes: of the file.
        max_pixels: of the stored picture, checked before anything is decoded: more than any phone takes but
            for a single mode of a few. Reading it takes 12 bytes a pixel (WebP, JPEG 2000: 20), up to 2.5 GB;
            what follows goes by strips.
        min_side: in pixels; below it no face can be found.
        working_side: a larger picture is reduced to this longer side while it is read.
    """

    max_bytes: int = 512 << 20
    max_pixels: int = 128_000_000
    min_side: int = 24
    working_side: int = 3072


@dataclass(frozen=True)
class Photograph:
    """A photo as the rest of facewright works on it.

    Attributes:
        pixels: sRGB in [0, 1], upright by its EXIF orientation, perhaps reduced.
        size: (height, width) of the upright photo before it was reduced.
        scale: pixels of the original photo for one pixel of ``pixels``.
        focal: focal length in pixels of ``pixels`` if the camera noted it, else None.
        name: file name, for messages.
        sha256: of the file, "" if nobody told.
        notes: what could not be used of the file, or looks odd, one line each.
    """

    pixels: Float[Tensor, "3 H W"]
    size: tuple[int, int]
    scale: float = 1.0
    focal: float | None = None
    name: str = "photo"
    sha256: str = ""
    notes: tuple[str, ...] = ()


def read_photo(path: Path, limits: PhotoLimits | None = None) -> Photograph:
    """Read a photo file, whatever its orientation, bit depth, colour space or transparency.

    Raises:
        ImageError: there is no such file, or it is not a whole picture of an acceptable size.
    """
    limits = limits or PhotoLimits()
    head = _checked_head(path, limits)
    # From the open file: its bytes need not lie in memory beside its pixels.
    with (
        _decoding(path.name, head, limits),
        path.open("rb") as stream,
        Image.open(stream, formats=FORMATS) as image,
    ):
        return _decode(image, path.name, limits)


def read_photo_bytes(data: bytes, name: str, limits: PhotoLimits | None = None) -> Photograph:
    """``read_photo`` of a file that is already in memory, such as a member of an archive.

    Raises:
        ImageError: it is not a whole picture of an acceptable size.
    """
    limits = limits or PhotoLimits()
    if not data:
        raise ImageError(f"{name} is empty (0 bytes): copy it again.")
    if len(data) > limits.max_bytes:
        raise ImageError(f"{name} has {len(data) >> 20} MB, more than the {limits.max_bytes >> 20} allowed.")
    with _decoding(name, data[:16], limits), Image.open(io.BytesIO(data), formats=FORMATS) as image:
        return _decode(image, name, limits)


@contextmanager
def _decoding(name: str, head: bytes, limits: PhotoLimits) -> Iterator[None]:
    """Turn what Pillow raises on files that are no whole pictures into one clear line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own size warning and remarks on odd metadata
            yield
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not a picture that can be read: {_hint(head)}.") from None
    except Image.DecompressionBombError as error:  # Pillow's own limit, checked when the header was read
        count = re.search(r"\d+", str(error))
        raise ImageError(_too_large(name, int(count[0]) if count else 0, limits)) from None
    except ImageError:
        raise
    except (*METADATA_ERRORS, RuntimeError) as error:
        # AVIF's decoder raises a plain RuntimeError; so does torch where memory is short.
        if isinstance(error, RuntimeError) and "alloc" in str(error):
            raise
        raise ImageError(f"{name} is damaged or cut short ({error}): copy or export it again.") from error


def photograph_from_array(pixels: np.ndarray, name: str = "photo") -> Photograph:
    """Take a picture that is already in memory.

    Args:
        pixels: (H, W, 3) RGB or (H, W) grey; uint8, or floating point in [0, 1]; sRGB.
        name: used in messages.

    Raises:
        ImageError: another shape, type or range.
    """
    expected = "expected (H, W, 3) RGB or (H, W) grey as uint8, or as floats in [0, 1]"
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    elif pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ImageError(f"{expected}; got shape {pixels.shape}.")
    if pixels.dtype != np.uint8 and not np.issubdtype(pixels.dtype, np.floating):
        raise ImageError(f"{expected}; got {pixels.dtype}.")

    def strip(first: int, last: int) -> Tensor:
        values = pixels[first:last].astype(np.float32)
        if pixels.dtype == np.uint8:
            values /= np.float32(255)
        elif not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise ImageError(f"{expected}; got values from {values.min():g} to {values.max():g}.")
        return torch.from_numpy(values.transpose(2, 0, 1))

    return _from_strips(strip, (pixels.shape[0], pixels.shape[1]), name)


def photograph_from_tensor(pixels: Tensor, name: str = "photo") -> Photograph:
    """Take a picture that is already in memory, on its device; one that needs no change is not copied.

    Args:
        pixels: (3, H, W) RGB, floating point in [0, 1], sRGB.
        name: used in messages.

    Raises:
        ImageError: another shape, type or range.
    """
    if pixels.ndim != 3 or pixels.shape[0] != 3 or not pixels.is_floating_point():
        told = f"{tuple(pixels.shape)} {pixels.dtype}"
        raise ImageError(f"expected a tensor (3, H, W) of floats in [0, 1], sRGB; got {told}.")

    def strip(first: int, last: int) -> Tensor:
        values = pixels[:, first:last].float()
        low, high = (float(value) for value in values.aminmax())
        if not (low >= 0 and high <= 1):
            raise ImageError(f"expected a tensor of values in [0, 1], sRGB; got {low:g} to {high:g}.")
        return values

    return _from_strips(strip, (pixels.shape[1], pixels.shape[2]), name)


def _from_strips(strip: Callable[[int, int], Tensor], size: tuple[int, int], name: str) -> Photograph:
    """A picture in memory at the size that it is worked on, of its strips of rows (C, h, W) in [0, 1]."""
    limits = PhotoLimits()
    _check_size(name, size, limits)
    factor = max(1, max(size) // limits.working_side)
    parts = [strip(first, last) for first, last in _strips(size, factor)]
    if factor > 1:
        parts = [avg_pool2d(part, factor, ceil_mode=True).clamp(0, 1) for part in parts]
    tensor = (torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]).expand(3, -1, -1)
    if max(tensor.shape) > limits.working_side:
        fitted = _fitted(size, limits.working_side)
        shrunk = interpolate(tensor[None], fitted, mode="bilinear", align_corners=False, antialias=True)
        tensor = shrunk[0].clamp(0, 1)
    scale = max(size) / max(tensor.shape[-2:])
    return Photograph(tensor.contiguous(), size, scale, name=name)


def photograph_of(photo: Path | str | np.ndarray | Tensor | Photograph) -> Photograph:
    """A photo in whatever form somebody has it.

    Args:
        photo: a file; (H, W, 3) or (H, W) as ``photograph_from_array`` takes it; (3, H, W) sRGB in [0, 1] as
            a tensor, which stays on its device; or a photo that was read before.

    Raises:
        ImageError: it cannot be read, or is none of these.
    """
    if isinstance(photo, Photograph):
        return photo
    if isinstance(photo, np.ndarray):
        return photograph_from_array(photo)
    if isinstance(photo, Tensor):
        return photograph_from_tensor(photo)
    if not isinstance(photo, str | Path):
        told = type(photo).__name__
        raise ImageError(f"expected a photo as a path, an array, a tensor or a Photograph, got a {told}.")
    return read_photo(Path(photo))


def _checked_head(path: Path, limits: PhotoLimits) -> bytes:
    """The first bytes of a file that may be read."""
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a folder: expected a picture file.")
        if not path.is_file():
            raise ImageError(f"there is no file {path}: check the path.")
        size = path.stat().st_size
        if size == 0:
            raise ImageError(f"{path.name} is empty (0 bytes): copy it again.")
        if size > limits.max_bytes:
            raise ImageError(
                f"{path.name} has {size >> 20} MB, more than the {limits.max_bytes >> 20} allowed."
            )
        with path.open("rb") as stream:
            return stream.read(16)
    except (OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}).") from error


def _decode(image: Image.Image, name: str, limits: PhotoLimits) -> Photograph:
    width, height = image.size
    _check_size(name, (height, width), limits)
    longest = max(width, height)
    if longest > limits.working_side:
        # JPEG decoders can skip the finest detail: less time and memory. Others decode whole, then shrink.
        image.draft(None, _fitted((width, height), limits.working_side))
    image.load()
    # Only now: Pillow turns TIFFs upright itself while it loads them, and then forgets their orientation.
    notes: list[str] = []
    orientation, focal_35mm = _metadata(image, (width, height), notes)
    rgb = _to_srgb(image, limits.working_side, name, notes)
    if orientation in UPRIGHT:
        rgb = rgb.transpose(UPRIGHT[orientation])
    size = (width, height) if orientation >= 5 else (height, width)
    values = np.array(rgb, dtype=np.uint8)
    if values.max() < DARK:
        notes.append(
            f"its brightest pixel has {values.max()} of 255: if its camera wrote values of fewer bits than "
            "the file has room for, export it as 8 bit."
        )
    pixels = torch.from_numpy(values).permute(2, 0, 1).contiguous().float().div_(255)
    working_diagonal = math.hypot(*pixels.shape[-2:])
    focal = focal_35mm / DIAGONAL_35MM * working_diagonal if focal_35mm else None
    scale = max(size) / max(pixels.shape[-2:])
    return Photograph(pixels, size, scale, focal, name, notes=tuple(notes))


def _metadata(image: Image.Image, size: tuple[int, int], notes: list[str]) -> tuple[int, float | None]:
    """EXIF orientation (1 if it has none that makes sense) and 35 mm equivalent of a loaded picture."""
    try:
        exif = image.getexif()
        noted = exif.get(ORIENTATION, 1)
        focal = _focal_35mm(exif.get_ifd(EXIF_IFD), size)
    except METADATA_ERRORS as error:
        notes.append(f"its EXIF data is damaged ({error}) and left aside.")
        return 1, None
    return (noted if isinstance(noted, int) and 1 <= noted <= 8 else 1), focal


def _to_srgb(image: Image.Image, side: int, name: str, notes: list[str]) -> Image.Image:
    """RGB whose longer side is at most ``side``; reduced by whole factors first, strip by strip."""
    factor = max(1, max(image.size) // side)
    if factor > 1 or image.mode not in PLAIN_MODES or "transparency" in image.info:
        width, height = image.size
        strips = [
            (first, _plain(image.crop((0, first, width, last)), name).reduce(factor))
            for first, last in _strips((height, width), factor)
        ]
        small = Image.new(strips[0][1].mode, (-(-width // factor), -(-height // factor)))
        for first, strip in strips:
            small.paste(strip, (0, first // factor))
    else:
        small = image
    profile = image.info.get("icc_profile")
    if profile:
        small = _apply_profile(small, profile, notes)
    rgb = small if small.mode == "RGB" else small.convert("RGB")
    if max(rgb.size) <= side:
        return rgb
    whole = (
        0,
        0,
        image.width / factor,
        image.height / factor,
    )  # an odd last row is no whole block
    return rgb.resize(_fitted(image.size, side), Image.Resampling.BOX, box=whole)


def _strips(size: tuple[int, int], factor: int) -> list[tuple[int, int]]:
    """First and end rows of strips of about ``STRIP_PIXELS``, each of whole blocks of ``factor`` rows."""
    height, width = size
    rows = max(1, STRIP_PIXELS // (width * factor)) * factor
    return [(first, min(first + rows, height)) for first in range(0, height, rows)]


def _plain(image: Image.Image, name: str) -> Image.Image:
    """The picture in one of ``PLAIN_MODES``."""
    if image.mode in ("I", "I;16", "I;16B", "I;16L", "F"):
        return _from_deep_grey(image, name)
    if image.mode in ("P", "PA", "LA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode == "RGBA":
        # What a viewer shows: the picture on white paper.
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image).convert("RGB")
    return image if image.mode in PLAIN_MODES else image.convert("L" if image.mode == "1" else "RGB")


def _apply_profile(image: Image.Image, profile: bytes, notes: list[str]) -> Image.Image:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileName(source):
            return image
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        notes.append(f"its colour profile cannot be used ({error}): colours are taken as sRGB.")
        return image
    return image if converted is None else converted


def _from_deep_grey(image: Image.Image, name: str) -> Image.Image:
    values = np.asarray(image)
    if image.mode == "F":
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise ImageError(f"{name} has floating-point values outside [0, 1]: export it as 8 or 16 bit.")
        eight = values * 255 + 0.5
    else:
        if values.min() < 0 or values.max() > 65535:
            raise ImageError(f"{name} has values outside 16 bits: export it as 8 or 16 bit.")
        eight = (values.astype(np.uint32) + 128) // 257
    return Image.fromarray(eight.astype(np.uint8))


def _focal_35mm(ifd: Mapping[int, Any], size: tuple[int, int]) -> float | None:
    """The 35 mm equivalent in mm, unless the picture was cropped after it was taken."""
    try:
        focal = float(ifd.get(FOCAL_35MM, 0))
        noted = (float(ifd.get(EXIF_WIDTH, 0)), float(ifd.get(EXIF_HEIGHT, 0)))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not 8 <= focal <= 1200:
        return None
    if all(side > 0 for side in noted):
        aspect, noted_aspect = (max(pair) / min(pair) for pair in (size, noted))
        if abs(aspect / noted_aspect - 1) > 0.02:
            return None
    return focal


def _fitted(size: tuple[int, int], longest: int) -> tuple[int, int]:
    factor = longest / max(size)
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _check_size(name: str, size: tuple[int, int], limits: PhotoLimits) -> None:
    height, width = size
    if height * width > limits.max_pixels:
        raise ImageError(_too_large(name, height * width, limits))
    if min(height, width) < limits.min_side:
        raise ImageError(
            f"{name} has {width} x {height} pixels: expected at least {limits.min_side} on the shorter side."
        )


def _too_large(name: str, count: int, limits: PhotoLimits) -> str:
    allowed = limits.max_pixels // 1_000_000
    came = f"{count / 1e6:.0f}" if count else "far too many"
    return f"{name} has {came} million pixels: expected at most {allowed} million; make it smaller first."


def _hint(data: bytes) -> str:
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "it is a TIFF of a kind that is not read, such as floating-point colour: export it as 8 bit"
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"hevc"):
        return "HEIC photos must be exported as JPEG first"
    return "expected JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF"
