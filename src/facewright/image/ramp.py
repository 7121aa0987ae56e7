"""The colours of errors."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

COLOR_MAP = "viridis"  # perceptually uniform, and readable in grey and by the colour-blind


def ramp_colors(value: Float[ndarray, " N"]) -> Float[ndarray, "N 3"]:
    """SRGB of numbers from 0 to 1; what is beyond has the end's colour."""
    from matplotlib import colormaps

    return np.asarray(colormaps[COLOR_MAP](np.clip(value, 0, 1)))[:, :3].astype(np.float64)
