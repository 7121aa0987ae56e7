"""What the mean and the statistics of any face model must be like; a wrong unit, axis or index fails here."""

from collections.abc import Mapping

import torch
from torch import Tensor

from facewright.models.face_model import FaceModel

RIGHT_EYE, LEFT_EYE, NOSE_TIP, CHIN = 36, 45, 30, 8  # of the 68 points of iBUG: outer eye corners
EYES = (75.0, 110.0)  # mm between the outer corners of an adult's eyes
NOSE_IN_FRONT = 5.0  # mm: the tip of the nose is the foremost point of the skin, nearly
OUTWARD = 0.65  # share of the area around the face: nostrils, lid margins and inner lips turn inward
AROUND, INSIDE = 70.0, 100.0  # mm around the tip of the nose; how far behind it "inside" is
IDENTITY = (0.5, 20.0)  # mm: root mean square of random people's displacement from the mean
EXPRESSION = 100.0  # mm: no skin moves further at one unit of an expression


def check_plausible(model: FaceModel, anchors: Mapping[int, int]) -> None:
    """Refuse a model that is no human head in mm and in the head frame, with outward triangles.

    Args:
        model: to be checked.
        anchors: vertices of points of iBUG, counted from 0; the outer eye corners (36, 45) and the tip of the
            nose (30) must be among them, the chin (8) is used where it is.

    Raises:
        ValueError: the first thing that is wrong, with what was expected and what came.
    """
    missing = [number for number in (RIGHT_EYE, LEFT_EYE, NOSE_TIP) if number not in anchors]
    if missing:
        raise ValueError(f"the vertices of the iBUG points {missing} are not known: give landmarks")
    _check_indices(model)
    check_shapes(model, {number: model.mean[vertex] for number, vertex in anchors.items()})
    _check_winding(model, model.mean[anchors[NOSE_TIP]])
    _check_colours(model)


def check_shapes(model: FaceModel, points: Mapping[int, Tensor]) -> None:
    """Refuse shapes that are no human heads in mm and in the head frame, whatever carries them.

    Args:
        model: to be checked.
        points: of iBUG on the mean, counted from 0: 36, 45 and 30 at least.

    Raises:
        ValueError: the first thing that is wrong, with what was expected and what came.
    """
    _check_eyes(points)
    _check_nose(model, points)
    _check_statistics(model)


def _check_indices(model: FaceModel) -> None:
    low, high = (int(bound) for bound in torch.aminmax(model.topology.faces))
    if (low, high) != (0, len(model.mean) - 1):
        raise ValueError(f"triangles use vertices {low} to {high}, expected 0 to {len(model.mean) - 1}")


def _check_eyes(points: Mapping[int, Tensor]) -> None:
    across = points[LEFT_EYE] - points[RIGHT_EYE]
    if not EYES[0] <= float(across.norm()) <= EYES[1]:
        raise ValueError(
            f"the outer eye corners are {float(across.norm()):.4g} mm apart, expected {EYES[0]:.0f} to "
            f"{EYES[1]:.0f}: another unit or scale"
        )
    if float(across[0]) < 0.9 * float(across.norm()):
        raise ValueError("the left eye is not at +X of the right one: mirrored or turned axes")


def _check_nose(model: FaceModel, points: Mapping[int, Tensor]) -> None:
    tip = points[NOSE_TIP]
    if float(tip[1]) > 0.5 * float(points[LEFT_EYE][1] + points[RIGHT_EYE][1]):
        raise ValueError("the tip of the nose is not below the eyes: turned axes")
    if CHIN in points and float(points[CHIN][1]) > float(tip[1]):
        raise ValueError("the chin is not below the tip of the nose: turned axes")
    foremost = float(model.mean[model.parts["skin"], 2].max())
    if foremost - float(tip[2]) > NOSE_IN_FRONT:
        raise ValueError(
            f"the skin reaches {foremost - float(tip[2]):.3g} mm in front of the tip of the nose, "
            f"expected at most {NOSE_IN_FRONT:.0f}: turned axes or wrong landmarks"
        )


def _check_winding(model: FaceModel, tip: Tensor) -> None:
    faces = model.topology.faces[model.parts["skin"][model.topology.faces].all(1)]
    corners = model.mean[faces]
    middle = corners.mean(1)
    near = (middle - tip).norm(dim=1) < AROUND
    normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    away = middle - (tip - torch.tensor([0.0, 0.0, INSIDE]))
    area = normal.norm(dim=1) * near
    share = float((area * ((normal * away).sum(1) > 0)).sum() / area.sum().clamp_min(1e-9))
    if share < OUTWARD:
        raise ValueError(f"{share:.0%} of the surface points outward, expected over {OUTWARD:.0%}: flipped")


def _check_colours(model: FaceModel) -> None:
    for name, values in (("diffuse", model.diffuse_mean), ("specular", model.specular_mean)):
        low, high = (float(bound) for bound in torch.aminmax(values))
        if low < 0 or high > 1:
            raise ValueError(f"the {name} albedo reaches from {low:.3g} to {high:.3g}, expected 0 to 1")
        basis = model.diffuse_basis if name == "diffuse" else model.specular_basis
        spread = float(basis.square().sum(0).mean().sqrt()) if len(basis) else 0.0
        if spread > 0.5:
            raise ValueError(f"the {name} albedo varies by {spread:.3g}, expected less than 0.5")


def _check_statistics(model: FaceModel) -> None:
    skin = model.parts["skin"]
    # The variances of independent coefficients add up: what random people differ from the mean by.
    spread = float(model.identity_basis[:, skin].square().sum((0, 2)).mean().sqrt())
    if not IDENTITY[0] <= spread <= IDENTITY[1]:
        raise ValueError(
            f"random people differ by {spread:.3g} mm from the mean, expected {IDENTITY[0]} to "
            f"{IDENTITY[1]:.0f}: variances in place of standard deviations, or another unit"
        )
    if model.expression_count:
        moves = float(model.expression_basis[:, skin].norm(dim=2).max())
        if not 0.1 <= moves <= EXPRESSION:
            raise ValueError(
                f"an expression moves the skin by {moves:.3g} mm, expected 0.1 to {EXPRESSION:.0f}"
            )
