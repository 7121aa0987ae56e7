"""What no face model knows of a head: smooth displacements as a Gaussian process, cut to a small basis.

A face model alone explains what it does not know by what it knows: it slides and becomes another person to
come to lie on a scan. With smooth displacements beside it, it need not, and its vertices stay in place.

**Source:** Luethi, Gerig, Jud and Vetter 2018, "Gaussian process morphable models": a model of examples plus
the leading eigenfunctions of a smooth kernel (Nystroem).
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def smooth_modes(
    points: Float[ndarray, "V 3"], nodes: Float[ndarray, "N 3"], *, sigma: float, reach: float, count: int
) -> Float[ndarray, "V M"]:
    """Modes of a smooth displacement along one axis, each for one standard deviation.

    The kernel is ``sigma^2 exp(-d^2 / (2 reach^2))``; ``modes @ modes.T`` approaches it.

    Args:
        points: where the modes are wanted, mm.
        nodes: evenly spread points that stand for the surface, mm.
        sigma: of the displacement, mm.
        reach: over which displacements are alike, mm.
        count: number of modes, M is no larger.
    """
    values, vectors = np.linalg.eigh(_kernel(nodes, nodes, reach))
    kept = np.argsort(-values)[:count]
    kept = kept[values[kept] > 1e-6 * values.max()]
    return sigma * _kernel(points, nodes, reach) @ (vectors[:, kept] / np.sqrt(values[kept]))


def along_axes(modes: Float[ndarray, "N M"]) -> Float[ndarray, "N 3 K"]:
    """Each mode along x, y and z: coefficient ``3 m + axis`` moves axis ``axis`` by mode ``m``."""
    return (modes[:, None, :, None] * np.eye(3)[:, None, :]).reshape(len(modes), 3, -1)


def _kernel(points: ndarray, nodes: ndarray, reach: float) -> ndarray:
    apart = (points**2).sum(1)[:, None] + (nodes**2).sum(1) - 2 * points @ nodes.T
    return np.exp(-0.5 / reach**2 * apart.clip(0))
