"""What is written for speed is read by others, without loss."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from facewright.export.quick_png import quick_png

RNG = np.random.default_rng(0)
PICTURES = {
    "rgb": RNG.integers(0, 256, (17, 23, 3), dtype=np.uint8),
    "grey": RNG.integers(0, 256, (9, 31), dtype=np.uint8),
    "depth": RNG.integers(0, 65536, (12, 7), dtype=np.uint16),
    "not in order": RNG.integers(0, 256, (3, 10, 8), dtype=np.uint8).transpose(1, 2, 0),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pillow_reads_what_was_written(name) -> None:
    pixels = PICTURES[name]
    file = quick_png(pixels)
    with Image.open(io.BytesIO(file)) as picture:
        picture.load()
        read = np.asarray(picture)
    assert read.shape == pixels.shape
    assert np.array_equal(read.astype(np.int64), pixels.astype(np.int64))
    damaged = bytearray(file)
    damaged[len(file) // 2] ^= 1
    with pytest.raises((OSError, SyntaxError, zlib.error)), Image.open(io.BytesIO(damaged)) as picture:
        picture.load()


def test_smooth_pictures_are_small() -> None:
    ramp = np.add.outer(np.arange(128), np.arange(128)).astype(np.uint8)
    assert len(quick_png(ramp)) < 0.05 * ramp.size < len(quick_png(RNG.permuted(ramp)))
