"""What most protocols begin with: landmarks, the scan's face, and the prediction laid onto it."""

from dataclasses import dataclass

from jaxtyping import Float, Int64
from numpy import ndarray

from facewright.evaluation.alignment import IcpSettings, align_landmarks, align_surface, moved
from facewright.evaluation.cropping import Sphere, check_unit, enough, front_rows, now_points
from facewright.evaluation.geometry_metrics import point_to_plane, point_to_surface
from facewright.evaluation.records import FaceSample
from facewright.geometry.alignment import Alignment
from facewright.geometry.nearest import SurfaceIndex, index_surface


@dataclass(frozen=True)
class LandmarkStart:
    """A prediction brought to its scan by the landmarks of NoW.

    Attributes:
        alignment: scan_from_prediction, B = 1.
        rms: how far the landmarks are apart after it, mm.
        notes: where landmarks were missing.
    """

    alignment: Alignment
    rms: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Aligned:
    """A prediction laid onto the face of its scan.

    Attributes:
        rows: the scan's vertices that count.
        points: their positions, mm, in the frame of the scan.
        surface: the prediction in its own frame.
        alignment: scan_from_prediction, B = 1.
        landmark_rms: mm between the landmarks after the start.
        notes: where landmarks were missing.
    """

    rows: Int64[ndarray, " K"]
    points: Float[ndarray, "K 3"]
    surface: SurfaceIndex
    alignment: Alignment
    landmark_rms: float
    notes: tuple[str, ...]

    @property
    def scale(self) -> float:
        """Of the prediction, to be as large as the scan."""
        return float(self.alignment.scale[0])

    def distances(self) -> Float[ndarray, " K"]:
        """From each point to the prediction, in the mm of the scan."""
        return point_to_surface(self.surface, self._placed()) * self.scale

    def plane_distances(self) -> Float[ndarray, " K"]:
        """From each point to the plane of the prediction's closest triangle, in the mm of the scan."""
        return point_to_plane(self.surface, self._placed()) * self.scale

    def _placed(self) -> Float[ndarray, "K 3"]:
        return moved(self.alignment.inverse(), self.points)


def start_by_landmarks(prediction: FaceSample, scan: FaceSample, *, with_scale: bool) -> LandmarkStart:
    """Check both faces and bring the prediction near.

    Raises:
        InputError: the prediction has no triangles, the scan (where no scale is estimated, the prediction
            too) is in another unit, or the landmarks do not fit one another.
    """
    check_unit(scan)
    prediction.check_surface()
    if not with_scale:
        check_unit(prediction)
    own, target, notes = now_points(prediction.landmarks, scan.landmarks)
    alignment, rms = align_landmarks(own, target, with_scale=with_scale)
    return LandmarkStart(alignment, rms, notes)


def aligned_by_surface(
    prediction: FaceSample,
    scan: FaceSample,
    start: LandmarkStart,
    face: Sphere,
    icp: IcpSettings,
    *,
    front_only: bool = False,
) -> Aligned:
    """Lay a prediction onto its scan by the scan's points in a sphere.

    Args:
        prediction: moves.
        scan: stays.
        start: from ``start_by_landmarks``.
        face: which of the scan's vertices count.
        icp: how surfaces are aligned.
        front_only: only what the front shows of the scan counts.

    Raises:
        InputError: almost nothing of the scan lies in the sphere.
    """
    rows = front_rows(scan, face) if front_only else enough(face.inside(scan.vertices), scan.name)
    points = scan.vertices[rows]
    surface = index_surface(prediction.vertices, prediction.faces)
    alignment = align_surface(surface, points, start.alignment, icp)
    return Aligned(rows, points, surface, alignment, start.rms, start.notes)
