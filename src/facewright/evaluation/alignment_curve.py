"""How far landmarks lie off in photos, in parts of the face's size, and the cumulative curve of it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from facewright.core.errors import InputError
from facewright.evaluation.geometry_metrics import cumulative_errors

LAST = 0.1  # where the curve of AFLW2000-3D ends
STEPS = 201


@dataclass(frozen=True)
class AlignmentCurve:
    """Cumulative distribution of the errors of photos.

    Attributes:
        mean: of the errors.
        thresholds: from 0 to 0.1.
        shares: of the photos whose error is at most that.
        area: under the curve over its width, 1 at best.
    """

    mean: float
    thresholds: Float[ndarray, " T"]
    shares: Float[ndarray, " T"]
    area: float


def normalised_errors(
    points: Float[ndarray, "N L 2"], truth: Float[ndarray, "N L 2"]
) -> Float[ndarray, " N"]:
    """Mean distance of each photo's landmarks over the root of the area of the true ones' box.

    Raises:
        InputError: the true landmarks of a photo have no area.

    **Source:** Zhu et al., "Face Alignment Across Large Poses", 2016, section 5.3.
    """
    sides = truth.max(1) - truth.min(1)
    size = np.sqrt(sides.prod(1))
    if not (size > 0).all():
        raise InputError(f"the true landmarks of photo {int(np.argmin(size))} lie on one line.")
    return np.linalg.norm(points - truth, axis=2).mean(1) / size


def alignment_curve(errors: Float[ndarray, " N"]) -> AlignmentCurve:
    """The curve of some errors; photos in which nothing was found have an infinite one and count as never.

    Raises:
        InputError: there are none.
    """
    if len(errors) == 0:
        raise InputError("expected errors of at least one photo.")
    thresholds = np.linspace(0, LAST, STEPS)
    shares = cumulative_errors(errors, thresholds)
    found = errors[np.isfinite(errors)]
    mean = float(found.mean()) if len(found) else float("inf")
    return AlignmentCurve(mean, thresholds, shares, float(np.trapezoid(shares, thresholds) / LAST))
