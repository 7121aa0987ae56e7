"""Where a scan lies: its unit, and its pose by landmarks or, without any, by trying turns."""

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial import KDTree

from facewright.core.errors import InputError, NoFaceError
from facewright.detection.points import OUTER_EYES
from facewright.geometry.alignment import align_points
from facewright.geometry.units import MM_PER_UNIT
from facewright.models.face_model import FaceModel
from facewright.registration.records import ScanLandmarks

# Distance of the outer eye corners in mm: children to large adults (adult mean about 89, std 5); they may be
# seen up to a tenth too near. The ends must differ by less than centimetre and inch.
EYES_APART = (60.0, 120.0)
ENOUGH = 50  # landmarks tell the size of a face whose eye corners are not among them
POINTS, TRIES = 700, 24  # of the search without landmarks
ROUGH, FINE, FINALISTS = (12, 0.7), (40, 0.9), 5  # steps and share of the points that are believed
GOOD = 4.0  # mm, above which the best try is no face


@dataclass(frozen=True)
class Placement:
    """scan_from_head for a scan in mm.

    Attributes:
        rotation: proper.
        translation: mm.
        way: how it was found, for reports: given or found landmarks, or a search without any.
    """

    rotation: Float[ndarray, "3 3"]
    translation: Float[ndarray, " 3"]
    way: str


def eye_distance_of(landmarks: ScanLandmarks, model: FaceModel) -> float | None:
    """Distance of the outer eye corners in the scan's unit.

    Where a corner is missing (it may lie in a hole), that of the mean head laid onto the other landmarks;
    None if these are few.
    """
    if np.isin(OUTER_EYES, landmarks.index).all():
        right, left = (landmarks.points[landmarks.index == eye][0] for eye in OUTER_EYES)
        return float(np.linalg.norm(right - left))
    if len(landmarks.index) < ENOUGH:
        return None
    own = model.landmark_points(model.mean, "dense478").double()
    there = torch.from_numpy(landmarks.points)[None]
    placed = align_points(own[torch.from_numpy(landmarks.index)][None], there, with_scale=True)
    right, left = own[list(OUTER_EYES)]
    return float(placed.scale) * float(torch.linalg.vector_norm(right - left))


def mm_per_unit(eye_distance: float, name: str) -> tuple[float, str]:
    """Millimetres for one unit of a scan, inferred from the distance of its outer eye corners.

    Args:
        eye_distance: in the scan's unit.
        name: of the scan.

    Returns:
        The factor and the unit's name.

    Raises:
        InputError: no unit makes it a face, or more than one does.
    """
    low, high = EYES_APART
    fitting = {unit: mm for unit, mm in MM_PER_UNIT.items() if low <= eye_distance * mm <= high}
    if len(fitting) != 1:
        raise InputError(
            f"the unit of {name} is not clear: its outer eye corners are {eye_distance:.4g} apart, which is "
            f"{low:.0f} to {high:.0f} mm in {' and '.join(fitting) or 'no unit known'}: give --unit."
        )
    [(unit, factor)] = fitting.items()
    return factor, unit


def place_by_landmarks(landmarks: ScanLandmarks, model: FaceModel) -> Placement:
    """Lay the mean head onto a scan's landmarks (mm).

    Raises:
        InputError: there are fewer than three landmarks.
    """
    own = model.landmark_points(model.mean, "dense478").double()[torch.from_numpy(landmarks.index)]
    there = torch.from_numpy(landmarks.points)
    weight = torch.from_numpy(1 / landmarks.sigma**2)
    placed = align_points(own[None], there[None], weight[None])
    for _ in range(5):  # a few landmarks may be far off
        off = torch.linalg.vector_norm(placed.apply(own[None])[0] - there, dim=1)
        placed = align_points(own[None], there[None], (weight / (1 + (off / 8.0) ** 2))[None])
    return Placement(
        placed.rotation[0].numpy(), placed.translation[0].numpy(), f"by landmarks ({landmarks.source})"
    )


def place_by_search(vertices: Float[ndarray, "V 3"], model: FaceModel, name: str) -> Placement:
    """Lay the mean face onto a scan (mm) from many turns, and take the best.

    Raises:
        NoFaceError: none of them comes to lie on the scan.
    """
    generator = np.random.default_rng(0)
    face = np.flatnonzero(model.regions["face_tight"].numpy())
    template = model.mean[generator.permutation(face)[:POINTS]].double().numpy()
    tree = KDTree(vertices)
    tries = [
        _trimmed_icp(template, tree, rotation, start, *ROUGH)
        for rotation in _cube_turns()
        for start in _starts(vertices, rotation, template)
    ]
    # A face upside down is not much worse at first: the finalists tell at length, by nearly all points.
    tries.sort(key=lambda entry: entry[0])
    finals = [_trimmed_icp(template, tree, turn, shift, *FINE) for _, turn, shift in tries[:FINALISTS]]
    best, turn, shift = min(finals, key=lambda entry: entry[0])
    if best > GOOD:
        raise NoFaceError(
            f"no face was found on {name}: of {TRIES} turns the best lies {best:.1f} mm off on average; give "
            "landmarks with --landmarks."
        )
    return Placement(turn, shift, f"by search over {TRIES} turns (without landmarks)")


def _cube_turns() -> list[ndarray]:
    """The 24 turns that map the axes onto each other."""
    turns = []
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            turn = np.zeros((3, 3))
            turn[range(3), order] = signs
            if np.linalg.det(turn) > 0:
                turns.append(turn)
    return turns


def _starts(vertices: ndarray, rotation: ndarray, template: ndarray) -> list[ndarray]:
    """Shifts that lay the nose tip on the scan's foremost point, and the middle on its middle."""
    along = vertices @ rotation  # in the head's axes
    tip = vertices[np.argsort(along[:, 2])[-max(1, len(along) // 500) :]].mean(0)
    nose = template[template[:, 2].argmax()]
    return [tip - rotation @ nose, np.median(vertices, axis=0) - rotation @ template.mean(0)]


def _trimmed_icp(
    template: ndarray, tree: KDTree, rotation: ndarray, shift: ndarray, steps: int, believed: float
) -> tuple[float, ndarray, ndarray]:
    """Rigid ICP of points to points that believes the nearest part; mean distance of that part."""
    for step in range(steps + 1):
        moved = template @ rotation.T + shift
        distance, nearest = tree.query(moved)
        kept = np.argsort(distance)[: int(believed * len(template))]
        if step == steps:
            break
        placed = align_points(
            torch.from_numpy(template[kept])[None],
            torch.from_numpy(np.asarray(tree.data)[np.asarray(nearest)[kept]])[None],
        )
        rotation, shift = placed.rotation[0].numpy(), placed.translation[0].numpy()
    return float(distance[kept].mean()), rotation, shift
