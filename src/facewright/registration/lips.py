"""Closed lips stay closed: no scan shows where they touch, and what is drawn there slides apart."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy import ndarray

from facewright.models.lip_seam import LipSeam, lip_seam
from facewright.registration.energy import Rows
from facewright.registration.schedule import Stage
from facewright.registration.skin import SkinStart

PARTED = 0.8  # mm more than on the mean head from which on fitted lips are open


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
        """The pairs that touch on the fitted head; None: the mouth is open, or the model has none."""
        whole = lip_seam(skin.model)
        faces = skin.model.topology.faces.numpy()
        closed = closed_pairs(whole, skin.fit.vertices, faces)
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
