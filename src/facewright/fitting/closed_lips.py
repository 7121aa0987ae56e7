"""Closed lips that touch: a fit knows each landmark to some millimetres, but a gap between lips is seen."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from facewright.detection.points import MOUTH_CORNERS
from facewright.fitting.landmark import with_parameters
from facewright.fitting.records import LANDMARK_SET, FaceFit
from facewright.models.face_model import FaceModel
from facewright.models.lip_seam import LipSeam

# Landmarks of upper and lower lip, one above the other, between which an open mouth gapes.
LIP_PAIRS = ((13, 14), (82, 87), (312, 317), (81, 178), (311, 402))
# How far apart their landmarks are, for the width of a mouth, from which on it is open. A third of 15,768
# photos lie below, the fewest about there; of 24 at 0.03 to 0.06 that were looked at, 21 were closed.
PARTED = 0.058
OPEN = 4.0  # mm between fitted lips: so wide a mouth is no error of the fit
# Weight of a pair of lips and of an expression's activation; a mm of a landmark is 1.
TOUCH, KEEP = 20.0, 0.02


def close_lips(model: FaceModel, seam: LipSeam, fit: FaceFit) -> FaceFit:
    """The fit with lips that touch in photos whose landmarks show a closed mouth.

    Of the expressions that close it those are taken that move the landmarks least.

    Args:
        model: that was fitted.
        seam: where its lips meet; without pairs the fit stays as it is.
        fit: any number of faces.
    """
    closed = lips_closed(fit)
    if not len(seam.rest) or not bool(closed.any()):
        return fit
    expression = fit.parameters.expression.clone()
    rows = _touching_rows(model, seam)
    vertices = model.vertices(fit.parameters.identity, fit.parameters.expression)
    for row in closed.nonzero()[:, 0].tolist():
        head = vertices[row].double().cpu().numpy()
        gap = seam.gaps(head, model.topology.faces.cpu().numpy()) - seam.rest
        if 0 < gap.mean() < OPEN:
            before = expression[row].double().cpu().numpy()
            after = (before + _closing(rows, gap, before)).clip(np.minimum(before, 0), np.maximum(before, 1))
            expression[row] = torch.from_numpy(after).to(expression)
    return with_parameters(model, replace(fit.parameters, expression=expression), fit.detected_px, fit)


def lips_closed(fit: FaceFit) -> Bool[Tensor, " B"]:
    """Whether the detected landmarks of both lips are as near to one another as on a closed mouth."""
    first, second = torch.tensor(LIP_PAIRS, device=fit.detected_px.device).unbind(1)
    fitted = (fit.landmarks_head[:, first] - fit.landmarks_head[:, second]).norm(dim=-1).mean(1)
    shown = (fit.landmarks_px[:, first] - fit.landmarks_px[:, second]).norm(dim=-1).mean(1)
    scale = shown / fitted.clamp_min(1e-3)  # pixels a mm, as the fit has the mouth
    seen = (fit.detected_px[:, first] - fit.detected_px[:, second]).norm(dim=-1).mean(1)
    corners = [fit.landmarks_head[:, corner] for corner in MOUTH_CORNERS]
    return seen / scale.clamp_min(1e-6) < PARTED * (corners[0] - corners[1]).norm(dim=-1)


def _touching_rows(model: FaceModel, seam: LipSeam) -> tuple[Float[ndarray, "R E"], Float[ndarray, "N E"]]:
    """What a mm of activation does to the landmarks (as a square root of it), and to the pairs' gaps."""
    points = model.landmark_points(model.expression_basis, LANDMARK_SET).double().cpu().numpy()
    moves = points.reshape(len(points), -1)
    gram = moves @ moves.T + KEEP * np.eye(len(moves))
    shapes = model.expression_basis.double().cpu().numpy()
    faces, mean = model.topology.faces.cpu().numpy(), model.mean.double().cpu().numpy()
    way = seam.places(mean, faces)[2]
    lower = (shapes[:, faces[seam.triangle]] * seam.corner_weights[..., None]).sum(2)
    opening = ((shapes[:, seam.upper] - lower) * way).sum(2).T
    return np.linalg.cholesky(gram).T, opening


def _closing(
    rows: tuple[Float[ndarray, "R E"], Float[ndarray, "N E"]],
    gap: Float[ndarray, " N"],
    activations: Float[ndarray, " E"],
) -> Float[ndarray, " E"]:
    """Change of the activations, which stay in [0, 1], that takes the gaps away."""
    # Here, not above: loading it takes half a second, which photos of open mouths need not wait.
    from scipy.optimize import lsq_linear

    landmarks, opening = rows
    system = np.concatenate([landmarks, TOUCH * opening])
    wanted = np.concatenate([np.zeros(len(landmarks)), -TOUCH * gap])
    low, high = np.minimum(-activations, -1e-9), np.maximum(1.0 - activations, 1e-9)
    return lsq_linear(system, wanted, bounds=(low, high)).x
