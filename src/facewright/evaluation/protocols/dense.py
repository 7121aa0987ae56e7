"""Protocols for registered scans, where vertex k of the prediction is vertex k of the scan: tewari, nme."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from facewright.core.errors import InputError
from facewright.evaluation.alignment import align_landmarks, moved
from facewright.evaluation.cropping import check_unit, enough, now_sphere, seen_from_front
from facewright.evaluation.records import FaceSample, Measurement, PointErrors
from facewright.geometry.alignment import Alignment


@dataclass(frozen=True)
class DenseSettings:
    """**Source:** Tewari et al. 2018 (BU-3DFE); FGNet (Zhu et al. 2022), eqs. 18 and 19.

    Attributes:
        with_scale: similarity, not rigid, alignment.
        crop_factor: as in NoW: which vertices are face; 0 counts all vertices.
    """

    with_scale: bool = True
    crop_factor: float = 1.4


def measure_tewari(prediction: FaceSample, scan: FaceSample, settings: DenseSettings) -> Measurement:
    """Distance (mm) of corresponding vertices after Procrustes on all of them.

    Raises:
        InputError: the meshes do not share a topology, or landmarks or units do not fit.

    **Differs:** correspondence is that of one topology (register the scan first), not that of the database's
    own registration; what counts as face is NoW's crop, and of it what is seen from the front.
    """
    rows, alignment, errors = _aligned(prediction, scan, settings)
    rmse = float(np.sqrt((errors**2).mean()))
    values = {"rmse": rmse, "scale": float(alignment.scale[0])}
    return Measurement({"face": PointErrors(rows, errors)}, "mm", alignment, values)


def measure_nme(prediction: FaceSample, scan: FaceSample, settings: DenseSettings) -> Measurement:
    """Distance of corresponding vertices in percent of the scan's outer interocular distance.

    Raises:
        InputError: the meshes do not share a topology, or landmarks or units do not fit.

    **Source:** eq. 18 (least-squares similarity over the reliable vertices) and eq. 19, times 100.
    **Differs:** reliable is what NoW's crop holds and the front shows, and both sums run over it (the paper
    mixes K and C).
    """
    rows, alignment, errors = _aligned(prediction, scan, settings)
    apart = scan.landmarks.outer_interocular
    values = {"interocular": apart, "scale": float(alignment.scale[0])}
    return Measurement({"face": PointErrors(rows, 100 * errors / apart)}, "%", alignment, values)


def same_topology(prediction: FaceSample, scan: FaceSample) -> bool:
    """Whether vertex k of one is vertex k of the other."""
    return len(prediction.vertices) == len(scan.vertices) and np.array_equal(prediction.faces, scan.faces)


def reliable_rows(scan: FaceSample, crop_factor: float) -> Int64[ndarray, " K"]:
    """Vertices of a registered scan that count.

    Raises:
        InputError: almost none does.
    """
    if crop_factor == 0:
        return np.arange(len(scan.vertices))
    sphere, _ = now_sphere(scan.landmarks, crop_factor)
    return enough(sphere.inside(scan.vertices) & seen_from_front(scan), scan.name)


def align_dense(
    prediction: FaceSample, scan: FaceSample, rows: Int64[ndarray, " K"], *, with_scale: bool
) -> Alignment:
    """scan_from_prediction over corresponding vertices."""
    chosen = prediction.vertices[rows], scan.vertices[rows]
    return align_landmarks(*chosen, with_scale=with_scale, max_rms=np.inf)[0]


def _aligned(
    prediction: FaceSample, scan: FaceSample, settings: DenseSettings
) -> tuple[ndarray, Alignment, ndarray]:
    check_unit(scan)
    if not same_topology(prediction, scan):
        raise InputError(
            f"this protocol compares vertex by vertex: expected one topology, got {len(prediction.vertices)} "
            f"and {len(scan.vertices)} vertices; register the scan to that topology first, or use "
            "a protocol such as now or dace."
        )
    rows = reliable_rows(scan, settings.crop_factor)
    alignment = align_dense(prediction, scan, rows, with_scale=settings.with_scale)
    apart = moved(alignment, prediction.vertices[rows]) - scan.vertices[rows]
    return rows, alignment, np.linalg.norm(apart, axis=1)
