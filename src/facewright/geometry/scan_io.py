"""Read a face scan, whatever program wrote it, as untrusted bytes."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from facewright.core.errors import ScanError
from facewright.geometry.scan import RawScan, Scan, ScanLimits, check_counts, checked_scan

TEXTURE_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "TGA")
MAX_TOLD = 160  # characters of a reader's own complaint


def read_scan(path: Path, limits: ScanLimits | None = None) -> Scan:
    """Read a scan: OBJ (with its texture), PLY, STL, GLB, OFF, legacy VTK, XYZ, or NPZ.

    An NPZ holds ``vertices`` (V,3), and perhaps ``faces`` (F,3) and ``colors`` (V,3). Files that a scan names
    (materials, textures) are read only from its own folder or below.

    Args:
        path: the file; its suffix says what it is.
        limits: of what is accepted.

    Returns:
        The scan in the units and the frame of the file.

    Raises:
        ScanError: there is no such file, its kind is not known, or it is damaged, empty or too large.
    """
    limits = limits or ScanLimits()
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        known = " ".join(sorted(_READERS))
        raise ScanError(f"{path.name} is no scan that can be read: expected a file that ends in {known}.")
    data = _bytes_of(path, limits)
    try:
        return checked_scan(path.name, reader(data, SiblingFiles(path.parent, limits), limits), limits)
    except ScanError as error:
        raise ScanError(f"{path.name}: {error}") from error
    except MemoryError as error:
        raise ScanError(f"{path.name}: not enough memory for this scan: reduce it first.") from error
    except Exception as error:  # readers fail on damaged files in any way there is
        told = f"{type(error).__name__}: {error}".splitlines()[0][:MAX_TOLD]
        raise ScanError(f"{path.name} is damaged or cut short ({told}): export it again.") from error


def scan_suffixes() -> frozenset[str]:
    """File suffixes that ``read_scan`` takes, in lower case."""
    return frozenset(_READERS)


class SiblingFiles:
    """Reads the files that a scan names, if they lie in its own folder or below.

    Args:
        folder: of the scan.
        limits: of what is accepted.
    """

    def __init__(self, folder: Path, limits: ScanLimits) -> None:
        self.folder, self.limits = folder.resolve(), limits

    def read(self, name: str) -> bytes:
        """Bytes of a file.

        Raises:
            ScanError: it is not there, is too large, or lies elsewhere.
        """
        plain = name.strip().replace("\\", "/")
        outside = ScanError(f"{name!r} lies outside of the scan's folder: not read")
        if not plain or PurePosixPath(plain).is_absolute() or PureWindowsPath(plain).drive or "\0" in plain:
            raise outside
        path = (self.folder / plain).resolve()
        if not path.is_relative_to(self.folder):
            raise outside
        if not path.is_file():
            raise ScanError(f"{name!r} is not beside the scan")
        if path.stat().st_size > self.limits.max_bytes:
            raise ScanError(f"{name!r} is too large")
        return path.read_bytes()

    def texture(self, name: str) -> np.ndarray:
        """Pixels (H,W,3) of a picture.

        Raises:
            ScanError: it cannot be read, or is no picture of an acceptable size.
        """
        return decode_texture(self.read(name), name, self.limits)


def decode_texture(data: bytes, name: str, limits: ScanLimits) -> np.ndarray:
    """Pixels (H,W,3) sRGB of an encoded texture, as stored: textures are not turned upright.

    Raises:
        ScanError: it is no picture of an acceptable size.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=TEXTURE_FORMATS) as image:
            _check_pixels(image.width * image.height, name, limits)
            return np.asarray(image.convert("RGB"))
    except ScanError:
        raise
    except Exception as error:  # Pillow fails on damaged pictures in any way there is
        raise ScanError(f"the texture {name!r} cannot be read ({type(error).__name__})") from error


def texture_pixels(data: bytes, name: str, limits: ScanLimits) -> int:
    """Pixels of a texture that another library will decode, from its header; 0 of what is no picture.

    Raises:
        ScanError: it has too many, or is of a kind that textures are not.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            pixels, kind = image.width * image.height, image.format
    except UnidentifiedImageError:
        return 0
    except Exception as error:  # Pillow fails on damaged pictures in any way there is
        raise ScanError(f"the texture {name!r} cannot be read ({type(error).__name__})") from error
    if kind not in TEXTURE_FORMATS:
        raise ScanError(f"the texture {name!r} is {kind}: expected one of {' '.join(TEXTURE_FORMATS)}")
    _check_pixels(pixels, name, limits)
    return pixels


def _check_pixels(pixels: int, name: str, limits: ScanLimits) -> None:
    if pixels > limits.max_texture_pixels:
        raise ScanError(
            f"the texture {name!r} has {pixels} pixels: at most {limits.max_texture_pixels} are read"
        )


def _bytes_of(path: Path, limits: ScanLimits) -> bytes:
    try:
        if not path.is_file():
            raise ScanError(f"there is no file {path}: check the path.")
        size = path.stat().st_size
        if size == 0:
            raise ScanError(f"{path.name} is empty (0 bytes): copy it again.")
        if size > limits.max_bytes:
            raise ScanError(f"{path.name} has {size >> 20} MB: at most {limits.max_bytes >> 20} are read.")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, ScanError):
            raise
        raise ScanError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}).") from error


def _read_npz(data: bytes, _files: SiblingFiles, limits: ScanLimits) -> RawScan:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > limits.max_bytes:
            raise ScanError("it unpacks to more bytes than are read.")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        if "vertices" not in arrays.files:
            raise ScanError(f"expected an array 'vertices' (V,3), got {sorted(arrays.files)}.")
        vertices = arrays["vertices"]
        faces = arrays["faces"] if "faces" in arrays.files else np.zeros((0, 3), np.int64)
        colors = arrays["colors"] if "colors" in arrays.files else None
    if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise ScanError(f"expected vertices (V,3) and faces (F,3), got {vertices.shape} and {faces.shape}.")
    if not np.issubdtype(vertices.dtype, np.floating) or not np.issubdtype(faces.dtype, np.integer):
        raise ScanError(f"expected float vertices and integer faces, got {vertices.dtype}, {faces.dtype}.")
    if colors is not None and (colors.ndim != 2 or colors.shape[1] < 3):
        raise ScanError(f"expected colors (V,3), got {colors.shape}.")
    check_counts(len(vertices), len(faces), limits)
    return RawScan(vertices, faces, colors)


def _later(module: str, name: str) -> Callable[[bytes, SiblingFiles, ScanLimits], RawScan]:
    """A reader whose module is imported when it is first asked for."""

    def read(data: bytes, files: SiblingFiles, limits: ScanLimits) -> RawScan:
        from importlib import import_module

        return getattr(import_module(f"facewright.geometry.{module}"), name)(data, files, limits)

    return read


_READERS: dict[str, Callable[[bytes, SiblingFiles, ScanLimits], RawScan]] = {
    ".obj": _later("scan_obj", "read_obj"),
    ".ply": _later("scan_binary", "read_ply"),
    ".stl": _later("scan_binary", "read_stl"),
    ".glb": _later("scan_binary", "read_glb"),
    ".off": _later("scan_text", "read_off"),
    ".xyz": _later("scan_text", "read_xyz"),
    ".vtk": _later("scan_text", "read_vtk"),
    ".npz": _read_npz,
}
