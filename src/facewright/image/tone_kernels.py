"""Numba kernel of ``toned``."""
# ruff: noqa: ANN001, ANN201  numba infers the types of a kernel

from typing import no_type_check

import numpy as np

from facewright.core.kernels import kernel


@kernel(error_model="numpy")
@no_type_check
def tone(linear, curve, out):
    """Look each value up; any layout of memory."""
    height, width, channels = linear.shape
    last = np.float32(curve.shape[0] - 1)
    for y in range(height):
        for x in range(width):
            for c in range(channels):
                value = linear[y, x, c]
                value = value if value > 0 else np.float32(0)  # what is not a number is not above 0
                value = value if value < 1 else np.float32(1)
                out[y, x, c] = curve[np.int64(value * last + np.float32(0.5))]
