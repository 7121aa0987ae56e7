"""A frame of a depth camera as a file: JSON that names a depth and a colour picture, and the intrinsics."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from PIL import Image

from facewright.core.errors import InputError
from facewright.image.io import METADATA_ERRORS, read_photo
from facewright.pipeline.inputs import content_digest
from facewright.registration.depth_image import DepthImage, Intrinsics, depth_image

SUFFIX = ".rgbd.json"  # of frames that are taken from a folder; named alone, any .json may be one
MAX_BYTES, MAX_PIXELS = 1 << 20, 16_000_000
EXPECTED = "expected color, depth, depth_scale, fx, fy, cx, cy"


def read_frame_file(path: Path) -> DepthImage:
    """Read a frame; its pictures lie in its own folder.

    Raises:
        InputError: it is no such file, names pictures elsewhere, or its content does not fit together.
    """
    content = _content(path)
    lens = Intrinsics(*(_number(path, content, key) for key in ("fx", "fy", "cx", "cy")))
    scale = _number(path, content, "depth_scale")
    if not 0 < scale < 1e6:
        raise InputError(f"{path.name}: expected depth_scale (mm a step of depth) above 0, got {scale}.")
    depth = _read_depth(_beside(path, content, "depth")) * scale
    photo = read_photo(_beside(path, content, "color")).pixels
    colors = (photo.permute(1, 2, 0) * 255).round().numpy().astype(np.uint8)
    return depth_image(path.name, depth, colors, lens)


def frame_digest(path: Path, max_bytes: int) -> str:
    """SHA-256 over a frame's description and its pictures: a picture that changed makes another frame.

    Args:
        path: of the description.
        max_bytes: of each file.

    Returns:
        The description's own if its pictures cannot be told (reading it says why), "" if it cannot be read.
    """
    own = content_digest(path, max_bytes)
    try:
        content = _content(path)
        pictures = [_beside(path, content, key) for key in ("depth", "color")]
    except InputError:
        return own
    parts = [own, *(content_digest(picture, max_bytes) for picture in pictures)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest() if all(parts) else own


def _content(path: Path) -> dict[str, Any]:
    """What a description holds, unchecked."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path.name} is too large to be the description of a frame.")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path.name} is no JSON file that can be read ({error}).") from error
    if not isinstance(content, dict):
        raise InputError(f"{path.name} describes no frame: {EXPECTED}.")
    return content


def _number(path: Path, content: dict[str, Any], key: str) -> float:
    value = content.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{path.name}: expected a number for {key}, got {value!r}: {EXPECTED}.")
    return float(value)


def _beside(path: Path, content: dict[str, Any], key: str) -> Path:
    """A file in the folder of the description; links that lead out of it count as elsewhere."""
    name = content.get(key)
    if not isinstance(name, str) or not name or "\0" in name:
        raise InputError(f"{path.name}: expected a file name for {key}, got {name!r}: {EXPECTED}.")
    there, folder = (path.parent / name).resolve(), path.parent.resolve()
    if folder not in there.parents or not there.is_file():
        raise InputError(f"{path.name}: {key} names {name!r}: expected a file in the folder of {path.name}.")
    return there


def _read_depth(path: Path) -> Float[ndarray, "H W"]:
    """A grey picture of 8 or 16 bits, in its own steps."""
    try:
        with Image.open(path, formats=("PNG", "TIFF")) as image:
            if image.width * image.height > MAX_PIXELS or image.mode not in ("I;16", "I;16B", "I", "L", "F"):
                raise InputError(
                    f"{path.name}: expected depth as a grey PNG or TIFF of at most {MAX_PIXELS} pixels, got "
                    f"{image.mode} of {image.width} x {image.height}."
                )
            return np.asarray(image).astype(np.float64)
    except InputError:
        raise
    except (Image.DecompressionBombError, *METADATA_ERRORS) as error:
        raise InputError(f"{path.name} is no picture of depth that can be read ({error}).") from error
