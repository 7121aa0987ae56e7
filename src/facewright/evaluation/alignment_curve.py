"""How far landmarks lie off in photos, in parts of the face's size, and the cumulative curve of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from facewright.core.errors import InputError
from facewright.core.files import atomic_file, make_writable_folder, write_json
from facewright.evaluation.curve_plot import CurveTexts, draw_curves
from facewright.evaluation.geometry_metrics import area_under_ced, cumulative_errors

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
    return AlignmentCurve(mean, thresholds, shares, area_under_ced(errors, LAST))


def write_alignment(
    folder: Path, title: str, names: Sequence[str], errors: Float[ndarray, " N"]
) -> AlignmentCurve:
    """Write ``ced.csv`` (the curve), ``ced.png`` and, last, ``ced.json`` with each photo's error.

    Args:
        folder: made if it is not there.
        title: of the set and the method.
        names: of the photos.
        errors: of ``normalised_errors``; infinite where nothing was found, null in the JSON.

    Raises:
        InputError: there are none.
        OutputError: a file cannot be written.
    """
    curve = alignment_curve(errors)
    make_writable_folder(folder)
    rows = zip(curve.thresholds.tolist(), curve.shares.tolist(), strict=True)
    text = "".join(f"{at:.4f},{share:.6f}\n" for at, share in rows)
    with atomic_file(folder / "ced.csv") as partial:
        partial.write_text(f"threshold,share\n{text}", encoding="utf-8")
    label = f"mean {100 * curve.mean:.2f} %, AUC {curve.area:.3f}"
    texts = CurveTexts(title, "mean distance of landmarks / size of the face", "photos up to this error (%)")
    draw_curves(folder / "ced.png", curve.thresholds, {label: curve.shares}, texts)
    told = {
        "title": title,
        "mean": curve.mean if np.isfinite(curve.mean) else None,
        "area": curve.area,
        "thresholds": [round(value, 6) for value in curve.thresholds.tolist()],
        "shares": [round(value, 6) for value in curve.shares.tolist()],
        "photos": {
            name: error if np.isfinite(error) else None
            for name, error in zip(names, errors.tolist(), strict=True)
        },
    }
    write_json(folder / "ced.json", told)
    return curve
