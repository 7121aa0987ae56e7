"""Which part of a scan or of a prediction counts as face."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray

from facewright.core.errors import InputError
from facewright.evaluation.geometry_metrics import triangle_normals
from facewright.evaluation.landmarks import NOW_SEVEN, FaceLandmarks
from facewright.evaluation.records import FaceSample
from facewright.geometry.adjacency import rim_of
from facewright.render.rasterize import rasterize
from facewright.render.visibility import vertex_visibility

MIN_INTEROCULAR, MAX_INTEROCULAR = 60.0, 130.0  # mm between the outer eye corners, children to large adults
TIP_REACH = 30.0  # mm; the tip of a nose is not further from its base
MAX_DEPTH_MAP = 2048  # pixels of 1 mm, of the map that tells what is hidden
HIDDEN_BEHIND = 2.0  # mm; a vertex this far behind the surface seen from the front is hidden
MIN_POINTS = 100


@dataclass(frozen=True)
class Sphere:
    """What lies in a sphere is face.

    Attributes:
        center: in the frame of the scan, mm.
        radius: mm.
    """

    center: Float[ndarray, "3"]
    radius: float

    def inside(self, points: Float[ndarray, "N 3"]) -> Bool[ndarray, " N"]:
        """Which points lie inside."""
        return ((points - self.center) ** 2).sum(1) <= self.radius**2


def check_unit(sample: FaceSample) -> None:
    """Refuse a scan whose eyes are not as far apart as a person's: its file is in another unit.

    Raises:
        InputError: the outer eye corners are not 60 to 130 mm apart.
    """
    apart = sample.landmarks.outer_interocular
    if not MIN_INTEROCULAR <= apart <= MAX_INTEROCULAR:
        raise InputError(
            f"{sample.name}: the outer eye corners are {apart:.4g} mm apart, expected {MIN_INTEROCULAR:.0f} "
            f"to {MAX_INTEROCULAR:.0f}: say in which unit its file is (--scan-unit, --prediction-unit)."
        )


def now_points(
    prediction: FaceLandmarks, scan: FaceLandmarks
) -> tuple[Float[ndarray, "L 3"], Float[ndarray, "L 3"], tuple[str, ...]]:
    """The seven landmarks of NoW on both faces, and notes.

    Where one of the two has no base of the nose, the tip of the nose takes its place on both; outer eye
    corners and nose are needed, other missing ones are left out.

    Raises:
        InputError: fewer than 5 are shared.
    """
    names: list[str] = list(NOW_SEVEN)
    notes = []
    if "nose_base" not in prediction.named or "nose_base" not in scan.named:
        names[names.index("nose_base")] = "nose_tip"
        notes.append("aligned by the tip of the nose: its base is not marked")
    shared = [name for name in names if name in prediction.named and name in scan.named]
    if len(shared) < 5:
        raise InputError(f"expected at least 5 of the landmarks {', '.join(names)}, got {', '.join(shared)}.")
    if len(shared) < len(names):
        notes.append(f"aligned without {', '.join(name for name in names if name not in shared)}")
    return prediction.rows(shared), scan.rows(shared), tuple(notes)


def now_sphere(landmarks: FaceLandmarks, factor: float) -> tuple[Sphere, tuple[str, ...]]:
    """The crop of NoW and its relatives around the face's centre, and notes.

    Args:
        landmarks: of the scan.
        factor: times the mean of eye distance and nose length: 1.4 for NoW, 1.2 for the challenge of Feng
            2018.

    Raises:
        InputError: eye corners or nose are not marked.

    **Source:** NoW benchmark, ``compute_mask``: centre = nose base + 0.3 (bridge - nose base), radius =
    1.4 (outer eye distance + nose length) / 2.
    **Differs:** where the base of the nose is not marked its tip is taken, which is said in the notes: on the
    mean head that moves the centre by 9 mm and the radius by 0.6 mm.
    """
    notes = ()
    nose = "nose_base"
    if nose not in landmarks.named:
        nose, notes = "nose_tip", ("cropped around the tip of the nose: its base is not marked",)
    bridge = (landmarks.point("right_eye_inner") + landmarks.point("left_eye_inner")) / 2
    base = landmarks.point(nose)
    length = float(np.linalg.norm(bridge - base))
    radius = factor * (landmarks.outer_interocular + length) / 2
    return Sphere(base + 0.3 * (bridge - base), radius), notes


def nose_tip(sample: FaceSample) -> tuple[Float[ndarray, "3"], tuple[str, ...]]:
    """The tip of the nose, and notes: where it is not marked, the most forward point near the nose's base.

    Raises:
        InputError: neither tip nor base is marked.
    """
    if "nose_tip" in sample.landmarks.named:
        return sample.landmarks.named["nose_tip"], ()
    base = sample.landmarks.point("nose_base")
    forward = face_axes(sample.landmarks)[2]
    near = sample.vertices[((sample.vertices - base) ** 2).sum(1) < TIP_REACH**2]
    if len(near) == 0:
        raise InputError(f"{sample.name}: no point lies near the nose's landmark: do they share one frame?")
    return near[np.argmax(near @ forward)], ("the tip of the nose is not marked: the most forward point",)


def face_axes(landmarks: FaceLandmarks) -> Float[ndarray, "3 3"]:
    """Rows: to the subject's left, up, and out of the face, in the frame of the landmarks.

    Raises:
        InputError: eye or mouth corners are not marked.
    """
    left = landmarks.point("left_eye_outer") - landmarks.point("right_eye_outer")
    left = left / np.linalg.norm(left)
    eyes = (landmarks.point("left_eye_outer") + landmarks.point("right_eye_outer")) / 2
    mouth = (landmarks.point("left_mouth_corner") + landmarks.point("right_mouth_corner")) / 2
    up = eyes - mouth
    up = up - (up @ left) * left
    up = up / np.linalg.norm(up)
    return np.stack([left, up, np.cross(left, up)])


def enough(mask: Bool[ndarray, " N"], what: str) -> Int64[ndarray, " K"]:
    """The chosen rows.

    Raises:
        InputError: almost nothing is chosen.
    """
    rows = np.flatnonzero(mask)
    if len(rows) < MIN_POINTS:
        raise InputError(
            f"only {len(rows)} points of {what} lie in the face: expected {MIN_POINTS} at least; do mesh and "
            "landmarks share one frame and one unit?"
        )
    return rows


def seen_from_front(sample: FaceSample) -> Bool[ndarray, " V"]:
    """Which vertices a viewer far in front of the face sees: no teeth, no back of an eyeball.

    A mesh that is inside out as a whole is taken as if it were not.
    """
    axes = face_axes(sample.landmarks)
    turned = (sample.vertices - sample.landmarks.point("right_eye_outer")) @ axes.T
    pixels = np.stack([turned[:, 0], -turned[:, 1], -turned[:, 2]], axis=1)
    pixels[:, :2] -= pixels[:, :2].min(0) - 1
    extent = np.minimum(np.ceil(pixels[:, :2].max(0)) + 2, MAX_DEPTH_MAP).astype(int)
    screen, faces = torch.from_numpy(pixels)[None], torch.from_numpy(sample.faces)
    fragments = rasterize(screen, faces, (int(extent[1]), int(extent[0])), perspective=False)
    shown = np.unique(fragments.triangle[fragments.covered].numpy())
    if np.median(triangle_normals(turned, sample.faces)[shown, 2]) < 0:
        faces = faces.flip(1)
        fragments = rasterize(screen, faces, fragments.size, perspective=False)
    return vertex_visibility(fragments, screen, faces, bias=HIDDEN_BEHIND)[0].numpy()


def front_rows(scan: FaceSample, sphere: Sphere) -> Int64[ndarray, " K"]:
    """Vertices of a scan in a sphere that the front shows; all of them for a point cloud.

    The inside of a mouth or of a nostril has no counterpart on a prediction that has none.

    Raises:
        InputError: almost none does.
    """
    inside = sphere.inside(scan.vertices)
    return enough(inside & seen_from_front(scan) if len(scan.faces) else inside, scan.name)


def border_triangles(faces: Int64[ndarray, "F 3"]) -> Bool[ndarray, " F"]:
    """Which triangles have a corner on an open edge: closest points there say where the scan ends."""
    rim = rim_of(faces, int(faces.max(initial=-1)) + 1)
    return np.asarray(rim[faces].any(1))
