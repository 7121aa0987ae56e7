"""The skin of a fitted head: what is drawn onto a scan, while eyes, teeth and tongue follow."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy import ndarray

from facewright.core.errors import InputError
from facewright.models.face_model import FaceModel
from facewright.registration.correspondence import Target
from facewright.registration.face_fit import FaceFitSettings, visible_skin
from facewright.registration.records import FaceFit, ScanLandmarks
from facewright.registration.schedule import FROM_FACE_FIT, NonRigidSettings

MOUTH_PARTS, EYE_REGIONS = (
    ("tongue", "upper_teeth", "lower_teeth"),
    {"left_eye": "eye_left", "right_eye": "eye_right"},
)


@dataclass(frozen=True)
class RegistrationSettings:
    """How a scan is registered.

    Attributes:
        mm: millimetres for one unit of the scan; None: inferred from the landmarks, and said.
        fit: of the face model.
        nonrigid: of the deformation that follows.
        contact: weight of the contact of lips that are closed on the fitted head; 0: they may slide apart.
        scan_points: of the scan that draw the template (symmetric term); 0: only the template searches.
        pliancy: factors on the stiffness of regions of the model, below 1 where it may bend more; where
            regions overlap, factors multiply.
    """

    mm: float | None = None
    fit: FaceFitSettings = field(default_factory=FaceFitSettings)
    nonrigid: NonRigidSettings = FROM_FACE_FIT
    scan_points: int = 4000
    contact: float = 4.0
    pliancy: dict[str, float] = field(default_factory=dict)


def check_regions(model: FaceModel, settings: RegistrationSettings) -> None:
    """Check that the model has the regions whose stiffness is chosen.

    Raises:
        InputError: it has not, or a factor is not positive.
    """
    for name, factor in settings.pliancy.items():
        if name not in model.regions:
            raise InputError(
                f"the model has no region {name!r} whose stiffness could be changed: expected one of "
                f"{', '.join(sorted(model.regions))}."
            )
        if not 0 < factor < float("inf"):
            raise InputError(f"expected a positive factor on the stiffness of {name}, got {factor}.")


@dataclass(frozen=True)
class SkinStart:
    """The skin as the face model was fitted, and what it is to be drawn onto; mm, head frame.

    Attributes:
        model: the face model.
        target: the scan.
        fit: of the model to it.
        landmarks: of the scan; None if there are none.
        settings: of the registration.
    """

    model: FaceModel
    target: Target
    fit: FaceFit
    landmarks: ScanLandmarks | None
    settings: RegistrationSettings

    @cached_property
    def on_skin(self) -> Bool[ndarray, " V"]:
        """Vertices of the model that are skin."""
        return self.model.parts["skin"].numpy()

    @cached_property
    def kept(self) -> Bool[ndarray, " F"]:
        """Triangles of the model that are skin."""
        return np.asarray(self.on_skin[self.model.topology.faces.numpy()].all(axis=1))

    @cached_property
    def faces(self) -> Int64[ndarray, "S 3"]:
        """Triangles between the skin's own vertices."""
        number = np.cumsum(self.on_skin) - 1
        return np.ascontiguousarray(number[self.model.topology.faces.numpy()[self.kept]]).astype(np.int64)

    @property
    def vertices(self) -> Float[ndarray, "N 3"]:
        """Where the skin starts."""
        return self.fit.vertices[self.on_skin]

    @property
    def weight(self) -> Float[ndarray, " N"]:
        """Of each vertex; 0 where no scan shows it."""
        return visible_skin(self.model)[self.on_skin]

    @property
    def pliancy(self) -> Float[ndarray, " N"]:
        """Factor on the stiffness around each vertex."""
        pliancy = np.ones(len(self.model.mean))
        for name, value in self.settings.pliancy.items():
            pliancy[self.model.regions[name].numpy()] *= value
        return pliancy[self.on_skin]

    def carried(self, triangle: Int64[ndarray, " L"]) -> tuple[Int64[ndarray, " M"], Bool[ndarray, " L"]]:
        """Number triangles of the model as those of the skin; and which of them are skin at all."""
        on_skin = self.kept[triangle]
        number = np.cumsum(self.kept) - 1
        return number[triangle[on_skin]].astype(np.int64), on_skin

    def whole(self, skin: Float[ndarray, "N 3"]) -> Float[ndarray, "V 3"]:
        """The head with its skin moved; eyes, teeth and tongue go as far as the skin around them."""
        before = self.fit.vertices
        after = before.copy()
        after[self.on_skin] = skin
        moved = after.copy()
        around = EYE_REGIONS | dict.fromkeys(MOUTH_PARTS, "lips")
        for part, region in around.items():
            if part in self.model.parts and region in self.model.regions:
                near = self.model.regions[region].numpy() & self.on_skin
                moved[self.model.parts[part].numpy()] += (after - before)[near].mean(0)
        return moved
