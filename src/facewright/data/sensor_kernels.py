"""Numba kernels of the sensor, one picture a call; the same in plain torch is in ``sensor`` and ``grain``."""
# ruff: noqa: ANN001, ANN201  numba infers the types of a kernel

from typing import no_type_check

import numpy as np

from facewright.core.kernels import kernel
from facewright.data.grain import BITS, ENTRIES, FIRST, SECOND, STEP

_STEP, _FIRST, _SECOND = np.uint64(STEP), np.uint64(FIRST), np.uint64(SECOND)
_MASK = np.uint64(ENTRIES - 1)


@kernel()
@no_type_check
def blur(light, weights, out):
    """Both axes; border pixels are repeated."""
    reach = weights.shape[0] // 2
    channels, height, width = light.shape
    line = np.empty(width + 2 * reach, np.float32)
    for channel in range(channels):
        for y in range(height):
            line[reach : reach + width] = 0.0
            for k in range(weights.shape[0]):
                weight = weights[k]
                source = light[channel, min(max(y + k - reach, 0), height - 1)]
                for x in range(width):
                    line[reach + x] += weight * source[x]
            line[:reach] = line[reach]
            line[reach + width :] = line[reach + width - 1]
            target = out[channel, y]
            target[:] = 0.0
            for k in range(weights.shape[0]):
                weight = weights[k]
                for x in range(width):
                    target[x] += weight * line[k + x]


@kernel(error_model="numpy")
@no_type_check
def add_noise(light, seed, read, shot, stride, table, out):
    """``light + sqrt(read^2 + shot * light) * normal`` with the normal numbers of ``grain``."""
    _, height, width = light.shape
    floor, rise = np.float32(read * read), np.float32(shot)
    start = np.uint64(seed) << np.uint64(32)
    for y in range(height):
        for x in range(width):
            bits = (start + np.uint64(y * stride + x)) * _STEP
            bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
            bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
            bits ^= bits >> np.uint64(31)
            for channel in range(3):
                value = light[channel, y, x]
                spread = np.sqrt(floor + rise * max(value, np.float32(0)))
                out[channel, y, x] = value + spread * table[bits & _MASK]
                bits >>= np.uint64(BITS)
