"""What the stages of a registration hand on."""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Bool, Float, Int64
from numpy import ndarray

from facewright.registration.correspondence import Target


@dataclass(frozen=True)
class ScanLandmarks:
    """Some of the 478 dense landmarks, found on a scan.

    Attributes:
        index: which of the 478 each is.
        points: where it lies, in the scan's frame and unit.
        sigma: how far it may be off, mm.
        source: how they were found, for reports.
    """

    index: Int64[ndarray, " L"]
    points: Float[ndarray, "L 3"]
    sigma: Float[ndarray, " L"]
    source: str = "given"


@dataclass(frozen=True)
class FaceFit:
    """The face model's coefficients that explain a scan, and where the scan lies in the head frame.

    Attributes:
        identity: standard deviations.
        expression: activations.
        vertices: of the model's head, with what is smooth beside the model; mm, head frame.
        rotation: head_from_scan.
        translation: mm; ``head = rotation @ scan + translation`` for a scan in mm.
        median_distance: mm, of the face's vertices to the scan, where a match was believed.
        matched: share of the face's vertices whose match was believed.
    """

    identity: Float[ndarray, " K"]
    expression: Float[ndarray, " E"]
    vertices: Float[ndarray, "V 3"]
    rotation: Float[ndarray, "3 3"]
    translation: Float[ndarray, " 3"]
    median_distance: float
    matched: float


@dataclass(frozen=True)
class ScanTransform:
    """head_from_scan: ``head = rotation @ (mm_per_unit * scan) + translation``.

    Attributes:
        mm_per_unit: millimetres for one unit of the scan's file.
        rotation: proper.
        translation: mm.
    """

    mm_per_unit: float
    rotation: Float[ndarray, "3 3"]
    translation: Float[ndarray, " 3"]

    def head_from_scan(self, points: Float[ndarray, "N 3"]) -> Float[ndarray, "N 3"]:
        """From the file's frame and unit to mm in the head frame."""
        return self.mm_per_unit * points @ self.rotation.T + self.translation

    def scan_from_head(self, points: Float[ndarray, "N 3"]) -> Float[ndarray, "N 3"]:
        """From mm in the head frame to the file's frame and unit."""
        return (points - self.translation) @ self.rotation / self.mm_per_unit


@dataclass(frozen=True)
class Registration:
    """A scan in the topology of the face model.

    Attributes:
        vertices: of the model's topology, mm, head frame.
        distance: from each vertex to the scan, mm.
        reliable: vertices with a counterpart on the scan: near, facing the same way, not on the scan's rim.
        target: the scan in the head frame, mm.
        transform: head_from_scan.
        fit: of the face model, from which the deformation started.
        landmarks: in the scan's frame, mm; None if the pose was found without.
        start: how the pose was found.
        solver: which sparse solver ran.
        iterations: systems it solved.
        seconds: in each stage.
        notes: what was inferred, changed or left aside, one line each.
    """

    vertices: Float[ndarray, "V 3"]
    distance: Float[ndarray, " V"]
    reliable: Bool[ndarray, " V"]
    target: Target
    transform: ScanTransform
    fit: FaceFit
    landmarks: ScanLandmarks | None
    start: str
    solver: str
    iterations: int
    seconds: Mapping[str, float]
    notes: tuple[str, ...]
