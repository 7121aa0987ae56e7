"""Shut eyes whose lids meet: landmarks of lids that nearly touch leave a slit, and a slit is seen."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.fitting.landmark import with_parameters
from facewright.fitting.landmark_basis import LandmarkBasis
from facewright.fitting.records import LANDMARK_SET, FaceFit
from facewright.image.smoothstep import smoothstep
from facewright.models.face_model import FaceModel

# Landmarks of the middle of the upper and lower lid, by the side that expressions are named for.
LID_PAIRS = {"Right": ((160, 144), (159, 145), (158, 153)), "Left": ((387, 373), (386, 374), (385, 380))}
# Blink that landmarks tell of from which on lids draw together, and at which they have met. The teacher's
# labels call lids that touch 0.6 and more.
SHUT = (0.46, 0.56)
# Sine of yaw over which the two eyes come to be judged as one: of a head that looks aside one eye is hidden.
ASIDE = (0.4, 0.6)
WINK = (0.1, 0.25)  # by how much blinks differ where each eye is judged by itself; people seldom wink


def close_lids(model: FaceModel, basis: LandmarkBasis, fit: FaceFit) -> FaceFit:
    """The fit with lids that meet where the landmarks tell of shut eyes, and that nowhere pass one another.

    Args:
        model: that was fitted; without the blinks of ARKit's names the fit stays as it is.
        basis: its landmarks, with what they tell of expressions; without that nothing is known to be shut.
        fit: any number of faces.
    """
    row = {name: number for number, name in enumerate(model.expression_names)}
    if basis.told is None or not all(f"eyeBlink{side}" in row for side in LID_PAIRS):
        return fit
    told = basis.expected(fit.detected_px, torch.ones_like(fit.detected_px[..., 0])).centre
    blinks = told[:, [row[f"eyeBlink{side}"] for side in LID_PAIRS]]
    aside = smoothstep(fit.parameters.pose.rotation[:, :1, 2].abs(), ASIDE)
    alike = 1 - smoothstep((blinks[:, :1] - blinks[:, 1:]).abs(), WINK)
    shut = smoothstep(torch.lerp(blinks, blinks.mean(1, keepdim=True), torch.maximum(aside, alike)), SHUT)
    expression = fit.parameters.expression.clone()
    moves = model.landmark_points(model.expression_basis, LANDMARK_SET)
    rest = model.landmark_points(model.vertices(fit.parameters.identity), LANDMARK_SET)
    mean = model.landmark_points(model.mean, LANDMARK_SET)
    for number, (side, pairs) in enumerate(LID_PAIRS.items()):
        blink, opened = row[f"eyeBlink{side}"], _gaps(moves, pairs)  # mm for each activation
        met = _gaps(mean, pairs) + opened[blink]
        gap = _gaps(rest, pairs) + expression @ opened
        excess = torch.where(gap > met, (gap - met) * shut[:, number], gap - met)
        for column in [blink, *([row[f"eyeSquint{side}"]] if f"eyeSquint{side}" in row else [])]:
            before = expression[:, column].clone()
            expression[:, column] = (before - excess / opened[column]).clamp(0, 1)
            excess = excess + (expression[:, column] - before) * opened[column]
    if torch.equal(expression, fit.parameters.expression):
        return fit
    return with_parameters(model, replace(fit.parameters, expression=expression), fit.detected_px, fit)


def _gaps(points: Float[Tensor, "*B L 3"], pairs: tuple[tuple[int, int], ...]) -> Float[Tensor, "*B"]:
    """How far the upper lid lies above the lower one, mm."""
    upper, lower = ([pair[side] for pair in pairs] for side in (0, 1))
    return (points[..., upper, 1] - points[..., lower, 1]).mean(-1)
