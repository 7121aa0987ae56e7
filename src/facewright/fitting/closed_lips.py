"""Closed lips that touch: a fit knows each landmark to some millimetres, but a gap between lips is seen."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.optimize import lsq_linear
from torch import Tensor

from facewright.fitting.landmark import with_parameters
from facewright.fitting.records import LANDMARK_SET, FaceFit
from facewright.models.face_model import FaceModel
from facewright.models.lip_seam import LipSeam

# Landmarks of upper and lower lip, one above the other, between which an open mouth gapes.
LIP_PAIRS = ((13, 14), (82, 87), (312, 317), (81, 178), (311, 402))
PARTED = 0.4  # mm more than between the landmarks of closed lips from which on a mouth is open
OPEN = 4.0  # mm between fitted lips: so wide a mouth is no error of the fit
TOUCH, KEEP = (
    20.0,
    0.02,
)  # weight of a pair of lips and of an expression's activation, a mm of a landmark is 1


def close_lips(model: FaceModel, seam: LipSeam, fit: FaceFit) -> FaceFit:
    """The fit with lips that touch in photos whose landmarks show a closed mouth.

    Of the expressions that close it those are taken that move the landmarks least.

    Args:
        model: that was fitted.
        seam: where its lips meet; without pairs the fit stays as it is.
        fit: any number of faces.
    """
    closed = lips_closed(model, fit)
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


def lips_closed(model: FaceModel, fit: FaceFit) -> Bool[Tensor, " B"]:
    """Whether the detected landmarks of both lips are as near to one another as on a closed mouth."""
    first, second = torch.tensor(LIP_PAIRS, device=fit.detected_px.device).unbind(1)
    rest = model.landmark_points(model.mean, LANDMARK_SET)
    apart = (rest[first] - rest[second])[:, :2].norm(dim=-1)
    fitted = fit.landmarks_head[:, first] - fit.landmarks_head[:, second]
    shown = (fit.landmarks_px[:, first] - fit.landmarks_px[:, second]).norm(dim=-1)
    scale = shown.sum(1) / fitted.norm(dim=-1).sum(1).clamp_min(1e-3)  # pixels a mm, as the fit has the mouth
    seen = (fit.detected_px[:, first] - fit.detected_px[:, second]).norm(dim=-1) / scale[:, None].clamp_min(
        1e-6
    )
    return (seen - apart).mean(1) < PARTED


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
    landmarks, opening = rows
    system = np.concatenate([landmarks, TOUCH * opening])
    wanted = np.concatenate([np.zeros(len(landmarks)), -TOUCH * gap])
    low, high = np.minimum(-activations, -1e-9), np.maximum(1.0 - activations, 1e-9)
    return lsq_linear(system, wanted, bounds=(low, high)).x
