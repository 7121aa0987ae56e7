"""Bring any face model into the topology of the base head: register its mean, carry its statistics along."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from facewright.core.errors import InputError
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from facewright.models.transfer import ExpressionSource, carry_model, correspond
from facewright.pipeline.finder import ShippedFinder
from facewright.registration.face_fit import visible_skin
from facewright.registration.head import RegistrationSettings, register_scan
from facewright.registration.records import Registration, ScanLandmarks
from facewright.registration.scan_landmarks import Finder, find_face_on_scan
from facewright.registration.surface import ScanSurface

SEEN = ("skin", "left_eye", "right_eye")  # parts on which a landmarker looks


@dataclass(frozen=True)
class ModelInBase:
    """A model in the base head's topology, and how well its mean was met.

    Attributes:
        model: the result.
        registration: of the mean.
        covered: share of the face that the model covers.
        distance: mean distance (mm) of the covered face to the model's mean.
    """

    model: FaceModel
    registration: Registration
    covered: float
    distance: float

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know, one fact each."""
        return (
            f"in the base topology: {self.covered:.0%} of the face covered, {self.distance:.2f} mm off",
            *self.registration.notes,
        )


def bring_to_base(
    model: FaceModel,
    *,
    expressions: ExpressionSource = "base",
    base: FaceModel | None = None,
    finder: Finder | None = None,
    landmarks: ScanLandmarks | None = None,
    settings: RegistrationSettings | None = None,
) -> ModelInBase:
    """Give a model the topology, landmarks and regions of the base head.

    Its mean is registered once, as a scan whose unit is known; each basis vector then moves along the
    barycentric correspondences that this gives.

    Args:
        model: in mm, head frame, such as an importer makes.
        expressions: "base": the base head's 52 blendshapes, which the pipeline fits and exports; "own": those
            of the model.
        base: the base head; loaded if None.
        finder: of the face on pictures of the mean; the shipped one if None.
        landmarks: on the mean; found on pictures of it if None.
        settings: of the registration.

    Raises:
        NoFaceError: no face was found on the model's mean.
        InputError: the model covers too little of the face, or has no expressions of its own.
    """
    base = base or load_base_model()
    if landmarks is None:
        finder = finder or ShippedFinder.load(torch.device("cpu"))
        landmarks = find_face_on_scan(_surface(model, SEEN), base, finder).landmarks
    skin, settings = _surface(model, ("skin",)), replace(settings or RegistrationSettings(), mm=1.0)
    registration = register_scan(skin, base, None, landmarks, settings)
    placed = registration.transform.head_from_scan(model.mean.double().numpy())
    covered = registration.reliable & (visible_skin(base) > 0)
    tight = base.regions["face_tight"].numpy()
    share = float(covered[tight].mean())
    if share < 0.5:
        raise InputError(
            f"only {share:.0%} of the face lies on the mean of model {model.name!r}, expected half at least."
        )
    at = correspond(model, placed, base, registration.vertices, covered)
    carried = carry_model(model, base, at, registration.vertices, expressions=expressions)
    distance = float(registration.distance[tight & covered].mean())
    return ModelInBase(carried, registration, share, distance)


def _surface(model: FaceModel, parts: tuple[str, ...]) -> ScanSurface:
    """Some parts of the mean head as a scan, in its own vertex colours if it has any."""
    wanted = np.zeros(len(model.mean), dtype=bool)
    for part in parts:
        if part in model.parts:
            wanted |= model.parts[part].numpy()
    faces = model.topology.faces.numpy()
    faces = faces[wanted[faces].all(1)]
    used, numbers = np.unique(faces, return_inverse=True)
    vertices = model.mean.double().numpy()[used]
    return ScanSurface(
        name=model.name,
        vertices=vertices,
        faces=numbers.reshape(-1, 3).astype(np.int64),
        colors=None,
        uv=None,
        uv_faces=None,
        texture=None,
        spacing=0.0,
        notes=(),
    )
