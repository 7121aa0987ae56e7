"""The look of combed hair, without a colour."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

SIZE = (64, 512)  # rows along, columns across
# Rows along, columns across (as a divisor of all) and weight of each layer.
LAYERS = ((4, 1, 0.22), (6, 4, 0.2), (3, 16, 0.2))


def strand_texture(rng: np.random.Generator) -> Float[ndarray, "H W 1"]:
    """How light strands are, around 1, as a map: fine across and smooth along them; its columns close."""
    rows, columns = SIZE
    total = np.zeros(SIZE)
    for along, divisor, weight in LAYERS:
        across = columns // divisor
        coarse = rng.normal(size=(along, across))
        places = np.linspace(0, along - 1, rows)
        fine = np.stack([np.interp(places, np.arange(along), column) for column in coarse.T], 1)
        at = np.arange(columns) * across / columns
        left = at.astype(int) % across
        part = at - at.astype(int)
        total += weight * ((1 - part) * fine[:, left] + part * fine[:, (left + 1) % across])
    return np.exp(total)[..., None].astype(np.float32)
