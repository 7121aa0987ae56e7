"""Texture maps as image files: 8 bit sRGB."""

import io
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from facewright.core.files import atomic_file
from facewright.image.color import srgb_from_linear

ImageFormat = Literal["png", "jpeg"]
JPEG_QUALITY = 95
PNG_COMPRESSION = 4  # of 9: within 3 % of the smallest file at a third of its time


def texture_from_linear(map_linear: Float[Tensor, "H W 3"]) -> UInt8[Tensor, "H W 3"]:
    """Encode a map in linear light as 8 bit sRGB, clipped to [0, 1]."""
    return (srgb_from_linear(map_linear) * 255 + 0.5).to(torch.uint8)


def normal_texture(slopes: Float[Tensor, "H W 2"]) -> UInt8[Tensor, "H W 3"]:
    """A map of normals in the frame of tangents (along u, across it towards v, out), as glTF has them.

    Args:
        slopes: of the surface along u, and at right angles to it on the side of v; v is up.
    """
    normals = torch.cat([-slopes, torch.ones_like(slopes[..., :1])], -1)
    normals = normals / normals.norm(dim=-1, keepdim=True)
    return (normals * 127.5 + 128).clamp(0, 255).to(torch.uint8)


def encode_image(texture: UInt8[Tensor, "H W C"], image_format: ImageFormat = "png") -> bytes:
    """Encode an sRGB texture (PNG: or one with alpha), row 0 on top (v = 1), as the bytes of a file."""
    image = Image.fromarray(texture.cpu().contiguous().numpy())
    stream = io.BytesIO()
    if image_format == "jpeg":
        # Full colour resolution: chroma subsampling bleeds over the chart borders.
        image.save(stream, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    else:
        image.save(stream, "PNG", compress_level=PNG_COMPRESSION)
    return stream.getvalue()


def encode_alpha(values: UInt8[Tensor, "H W"]) -> bytes:
    """Encode a map as the alpha channel of a black PNG, where glTF looks for specular strength."""
    alpha = Image.fromarray(values.cpu().contiguous().numpy())
    zero = Image.new("L", alpha.size)
    stream = io.BytesIO()
    Image.merge("RGBA", (zero, zero, zero, alpha)).save(stream, "PNG", compress_level=PNG_COMPRESSION)
    return stream.getvalue()


def write_unit_png(path: Path, values: Float[Tensor, "H W"]) -> None:
    """Write a map of values in [0, 1] as a grey PNG file, ``byte / 255``, without the curve of sRGB.

    Raises:
        OutputError: the file cannot be written.
    """
    texture = (values.clamp(0, 1) * 255 + 0.5).to(torch.uint8).cpu().contiguous().numpy()
    with atomic_file(path) as partial:
        Image.fromarray(texture).save(partial, "PNG", compress_level=PNG_COMPRESSION)


def write_png(path: Path, texture: UInt8[Tensor, "H W 3"]) -> None:
    """Write an sRGB map as a PNG file.

    Raises:
        OutputError: the file cannot be written.
    """
    with atomic_file(path) as partial:
        partial.write_bytes(encode_image(texture, "png"))
