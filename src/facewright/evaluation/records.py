"""What is compared with what: a face with its landmarks, and what a protocol found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from jaxtyping import Float, Int64
from numpy import ndarray

from facewright.core.errors import InputError
from facewright.evaluation.geometry_metrics import ErrorSummary, summarize
from facewright.evaluation.landmarks import FaceLandmarks
from facewright.geometry.alignment import Alignment

Unit = Literal["mm", "%"]


@dataclass(frozen=True)
class FaceSample:
    """A predicted mesh or a scan, in mm, in a frame of its own.

    Attributes:
        name: for messages.
        vertices: finite positions.
        faces: triangles, CCW from outside; none for a point cloud.
        landmarks: in the frame of the vertices.
    """

    name: str
    vertices: Float[ndarray, "V 3"]
    faces: Int64[ndarray, "F 3"]
    landmarks: FaceLandmarks

    def check_surface(self) -> None:
        """Refuse a point cloud where a surface is needed.

        Raises:
            InputError: there is no triangle.
        """
        if len(self.faces) == 0:
            raise InputError(f"{self.name} is a point cloud: this protocol needs its triangles.")


@dataclass(frozen=True)
class PointErrors:
    """Errors at points of one of the two surfaces.

    Attributes:
        vertex: the vertex of the surface at which each error was taken.
        error: in ``Measurement.unit``.
        surface: whose vertices these are.
    """

    vertex: Int64[ndarray, " N"]
    error: Float[ndarray, " N"]
    surface: Literal["scan", "prediction"] = "scan"

    @property
    def summary(self) -> ErrorSummary:
        """The errors in numbers."""
        return summarize(self.error)


@dataclass(frozen=True)
class Measurement:
    """What a protocol found for one prediction and its scan.

    Attributes:
        parts: errors by part; the first is what the protocol is known for.
        unit: of the errors.
        alignment: scan_from_prediction of the first part, B = 1.
        values: further numbers by name, such as the scale.
        notes: where the data made the protocol deviate; one line each.
    """

    parts: Mapping[str, PointErrors]
    unit: Unit
    alignment: Alignment
    values: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
