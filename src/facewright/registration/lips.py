"""Closed lips stay closed: no scan shows where they touch, and what is drawn there slides apart."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from scipy.spatial import KDTree

from facewright.models.lip_seam import LipSeam, lip_seam
from facewright.registration.correspondence import Target
from facewright.registration.energy import Rows
from facewright.registration.schedule import Stage
from facewright.registration.skin import SkinStart

PARTED = 0.8  # mm more than on the mean head from which on fitted lips are open
WIDE = 8.0  # mm; what is wider open than this is no error of the fit
BETWEEN = (0.3, 0.5, 0.7)  # places between fitted lips where a scan of closed ones shows skin
BESIDE = 0.35  # of the gap: how far to the side of such a place its skin may be
BEHIND = 1.5  # mm that this skin may lie behind that of both lips
MOST = 0.6  # share of the parted pairs
NEAR = 40.0  # mm from the mouth's middle: the part of a scan that is asked


@dataclass(frozen=True)
class ContactTerm:
    """Brings the points of closed lips together, each halfway, across the seam; along it they are free.

    Attributes:
        seam: pairs of points, in the numbers of the template.
        faces: of the template.
        own: the first triangle of the template at each upper point...
        own_weights: ... and the corner that the point is.
        weight: of each pair.
    """

    seam: LipSeam
    faces: Int64[ndarray, "F 3"]
    own: Int64[ndarray, " N"]
    own_weights: Float[ndarray, "N 3"]
    weight: float

    @classmethod
    def of(cls, skin: SkinStart, weight: float) -> "ContactTerm | None":
        """The pairs that touch on the fitted head or the scan; None: the mouth is open, or there are none."""
        whole = lip_seam(skin.model)
        faces = skin.model.topology.faces.numpy()
        closed = closed_pairs(whole, skin.fit.vertices, faces) | covered_pairs(
            whole, skin.fit.vertices, faces, skin.target
        )
        triangle, on_skin = skin.carried(whole.triangle)
        number = np.cumsum(skin.on_skin) - 1
        kept = closed & on_skin & skin.on_skin[whole.upper]
        if weight <= 0 or not kept.any():
            return None
        seam = LipSeam(
            number[whole.upper[kept]].astype(np.int64),
            triangle[kept[on_skin]],
            whole.corner_weights[kept],
            whole.rest[kept],
        )
        at = skin.faces[None] == seam.upper[:, None, None]
        own = at.any(2).argmax(1)
        return cls(seam, skin.faces, own, at[np.arange(len(own)), own].astype(np.float64), weight)

    def rows(
        self,
        moved: Float[ndarray, "V 3"],
        normals: Float[ndarray, "V 3"],  # noqa: ARG002  as every term
        stage: Stage,  # noqa: ARG002
    ) -> Rows:
        """Both points of each pair, drawn to between them."""
        upper, lower, way = self.seam.places(moved, self.faces)
        half = 0.5 * ((upper - lower) * way).sum(1, keepdims=True) * way
        return Rows(
            np.concatenate([upper - half, lower + half]),
            np.full(2 * len(upper), self.weight),
            triangle=np.concatenate([self.own, self.seam.triangle]),
            corner_weights=np.concatenate([self.own_weights, self.seam.corner_weights]),
        )


def closed_pairs(
    seam: LipSeam, vertices: Float[ndarray, "V 3"], faces: Int64[ndarray, "F 3"]
) -> Bool[ndarray, " N"]:
    """Pairs whose lips touch on a fitted head: they are near, or those between them and the middle are.

    Lips that touch in the middle touch to the corners.
    """
    if not len(seam.rest):
        return np.zeros(0, dtype=bool)
    more = seam.gaps(vertices, faces) - seam.rest
    outward = np.argsort(abs(vertices[seam.upper, 0] - vertices[seam.upper, 0].mean()))
    inner = np.empty(len(more))
    inner[outward] = np.cumsum(more[outward]) / np.arange(1, len(more) + 1)
    return np.minimum(more, inner) < PARTED


def covered_pairs(
    seam: LipSeam, vertices: Float[ndarray, "V 3"], faces: Int64[ndarray, "F 3"], target: Target
) -> Bool[ndarray, " N"]:
    """Pairs that a fit left open where the scan's skin goes on from lip to lip: its mouth is closed.

    Between the lips of an open mouth a scan has nothing, or lining and teeth that lie behind the lips.

    Args:
        seam: of the model.
        vertices: of the fitted head, mm, head frame.
        faces: of the model.
        target: the scan.
    """
    upper, lower, way = seam.places(vertices, faces)
    gap = ((upper - lower) * way).sum(1)
    parted = (gap > PARTED) & (gap < WIDE)
    none = np.zeros(len(gap), dtype=bool)
    if not parted.any():
        return none
    around = (abs(target.vertices - vertices[seam.upper].mean(0)) < NEAR).all(1)
    front = target.vertices[around & (target.normals[:, 2] > 0)]
    if len(front) < 3:
        return none
    seen = KDTree(front[:, :2])
    spacing = float(np.median(seen.query(front[:, :2], k=2)[0][:, 1]))

    def depth(points: ndarray) -> tuple[ndarray, ndarray]:
        beside, index = seen.query(points[:, :2], k=3)
        return front[index, 2].max(1), beside[:, 0]

    lips = np.minimum(depth(upper)[0], depth(lower)[0])
    covered = parted
    for share in BETWEEN:
        there, beside = depth(lower + share * (upper - lower))
        covered = covered & (there > lips - BEHIND) & (beside < np.maximum(BESIDE * gap, spacing))
    # Noise and the lips' own curves hide single pairs: the mouth as a whole is closed or not.
    return parted & (covered[parted].mean() > MOST)
