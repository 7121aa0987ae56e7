"""Colours and habits for models that bring shapes alone: skin, lips, brows and eyes in their own topology."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from facewright.core.errors import InputError
from facewright.models.face_model import ExpressionPrior, FaceModel

BROWS = ((17, 18, 19, 20, 21), (22, 23, 24, 25, 26))
LIPS = tuple(range(48, 60))
OPENING = tuple(range(60, 68))
BROW_WIDTH, LIP_SOFT = 4.5, 1.2  # mm
EYE_WHITE, IRIS, PUPIL = (0.55, 0.52, 0.5), (0.1, 0.07, 0.05), (0.01, 0.01, 0.01)
IRIS_RADIUS, PUPIL_RADIUS = 5.9, 2.2  # mm
PARTS = {
    "teeth": (0.55, 0.5, 0.42),
    "gums_and_tongue": (0.3, 0.09, 0.09),
    "mouth_socket": (0.12, 0.03, 0.03),
    "eye_sockets": (0.3, 0.16, 0.13),
    "lashes": (0.015, 0.012, 0.01),
}
SKIN_GLOSS, EYE_GLOSS = 0.25, 0.8
SIDES = ("Left", "Right")


def dressed(model: FaceModel, base: FaceModel) -> FaceModel:
    """A model with colours, and with expressions as people use them; what it has of its own stays.

    Args:
        model: any; with iBUG's 68 points if it brings no albedo.
        base: the shipped head: how skin varies, and how much people use each expression.

    Raises:
        InputError: it has neither albedo nor the points that colours are painted by.
    """
    prior = model.expression_prior
    if not bool(prior.mean.any()):
        prior = _prior(model, base)
    if model.diffuse_count:
        return replace(model, expression_prior=prior)
    if "ibug68" not in model.landmarks:
        raise InputError(
            f"model {model.name!r} has neither albedo nor the 68 points of iBUG (it has "
            f"{sorted(model.landmarks)}): expected one of them, to give it colours."
        )
    mean, basis = _painted(model, base)
    gloss = torch.full_like(model.specular_mean, SKIN_GLOSS)
    for name in ("left_eye", "right_eye"):
        if name in model.parts:
            gloss[model.parts[name]] = EYE_GLOSS
    return replace(model, expression_prior=prior, diffuse_mean=mean, diffuse_basis=basis, specular_mean=gloss)


def _prior(model: FaceModel, base: FaceModel) -> ExpressionPrior:
    """Of the base's expressions of the same names, one sided or two sided; the others are not used."""
    known = {name: row for row, name in enumerate(base.expression_names)}
    count = model.expression_count
    mean, std, correlation = torch.zeros(count), torch.full((count,), 1e-3), torch.eye(count)
    rows = torch.full((count,), -1)
    for number, name in enumerate(model.expression_names):
        plain = next((name.removesuffix(side) for side in SIDES if name.endswith(side)), name)
        row = known.get(name, known.get(plain))
        if row is not None:
            rows[number] = row
            mean[number], std[number] = base.expression_prior.mean[row], base.expression_prior.std[row]
    both = (rows[:, None] >= 0) & (rows[None] >= 0)
    together = base.expression_prior.correlation[rows.clamp_min(0)][:, rows.clamp_min(0)]
    return ExpressionPrior(mean, std, torch.where(both, together, correlation))


def _painted(model: FaceModel, base: FaceModel) -> tuple[Float[Tensor, "V 3"], Float[Tensor, "K V 3"]]:
    """Mean and modes: the base's, of its skin, lips and brows, on the places that are those here."""
    points = model.mean.double().numpy()
    landmarks = model.landmark_points(model.mean, "ibug68").double().numpy()
    opening = _inside(points, landmarks[list(OPENING)], 0.5)
    lips = _inside(points, landmarks[list(LIPS)], LIP_SOFT) * (1 - opening)
    lips *= np.abs(points[:, 2] - landmarks[51, 2]) < 30
    brows = np.max([_along(points, landmarks[list(brow)]) for brow in BROWS], axis=0)
    places = {
        "cheek_left": 1 - np.maximum(lips, brows),
        "lips": lips * (1 - brows),
        "brow_left": brows,
    }
    mean, basis = torch.zeros_like(model.mean), torch.zeros(base.diffuse_count, *model.mean.shape)
    for region, share in places.items():
        weight = torch.from_numpy(share.astype(np.float32))[:, None]
        mean += weight * base.diffuse_mean[base.regions[region]].mean(0)
        basis += weight * base.diffuse_basis[:, base.regions[region]].mean(1)[:, None]
    skin = model.parts["skin"]
    basis[:, ~skin] = 0
    for name, color in PARTS.items():
        if name in model.parts:
            mean[model.parts[name]] = torch.tensor(color)
    for side, name in enumerate(("left_eye", "right_eye")):
        if name in model.parts:
            mean[model.parts[name]] = _eye(model.mean[model.parts[name]], model.eye_centers[side])
    return mean.clamp(0, 1), basis


def _eye(points: Tensor, center: Tensor) -> Tensor:
    """White, with an iris and a pupil in front."""
    off = points - center
    away = off[:, :2].norm(dim=1)
    front = off[:, 2] > 0
    colors = torch.tensor(EYE_WHITE).repeat(len(points), 1)
    colors[front & (away < IRIS_RADIUS)] = torch.tensor(IRIS)
    colors[front & (away < PUPIL_RADIUS)] = torch.tensor(PUPIL)
    return colors


def _along(points: Float[ndarray, "V 3"], line: Float[ndarray, "M 3"]) -> Float[ndarray, " V"]:
    """1 on a line, falling to 0 at ``BROW_WIDTH``."""
    dense = np.concatenate([np.linspace(a, b, 12) for a, b in pairwise(line)])
    near = np.abs(points - line.mean(0)).max(1) < 60
    share = np.zeros(len(points))
    distance = np.linalg.norm(points[near, None] - dense[None], axis=2).min(1)
    share[near] = np.clip(1.6 * (1 - distance / BROW_WIDTH), 0, 1)
    return share


def _inside(points: Float[ndarray, "V 3"], ring: Float[ndarray, "M 3"], soft: float) -> Float[ndarray, " V"]:
    """1 inside of a ring seen from the front, 0 outside, soft (mm) between."""
    xy, corners = points[:, :2], ring[:, :2]
    after = np.roll(corners, -1, axis=0)
    crossed = np.zeros(len(points), bool)
    distance = np.full(len(points), np.inf)
    for a, b in zip(corners, after, strict=True):
        spans = (a[1] > xy[:, 1]) != (b[1] > xy[:, 1])
        where = a[0] + (xy[:, 1] - a[1]) / (b[1] - a[1] if b[1] != a[1] else 1e-9) * (b[0] - a[0])
        crossed ^= spans & (xy[:, 0] < where)
        along = np.clip(((xy - a) @ (b - a)) / max(((b - a) ** 2).sum(), 1e-9), 0, 1)
        distance = np.minimum(distance, np.linalg.norm(xy - a - along[:, None] * (b - a), axis=1))
    signed = np.where(crossed, distance, -distance)
    return np.clip(0.5 + signed / (2 * soft), 0, 1)
