"""What a picture says about a head that is drawn onto its depth: edges and the contour, across the view.

Both live in the view frame: ``(X z0 / Z, Y z0 / Z, Z)`` for camera points (X, Y, Z) in mm. There x and y are
pixels up to a factor, whatever the depth, so that rows on x and y bind the image position and nothing else.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray

from facewright.models.contour import contour_lines, outward_normals, seen_candidates
from facewright.registration.correspondence import normals_of
from facewright.registration.energy import Axes, Rows
from facewright.registration.nonrigid import LandmarkTerm
from facewright.registration.scan_landmarks import MIN_FACING, steady_landmarks
from facewright.registration.schedule import Stage
from facewright.registration.skin import SkinStart

ACROSS: Axes = (True, True, False)
ALONG: Axes = (False, False, True)
DOUBTED = 8.0  # mm off the fitted head, from which on a landmark is believed less and less
# Points of the 478 on lids, brows and lips: edges that the picture shows and the depth does not.
EYES = (
    33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246,
    263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466,
)  # fmt: skip
BROWS = (46, 53, 52, 65, 55, 70, 63, 105, 66, 107, 276, 283, 282, 295, 285, 300, 293, 334, 296, 336)
LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409,
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415,
)  # fmt: skip
EDGES = (*EYES, *BROWS, *LIPS)


@dataclass(frozen=True)
class ViewFrame:
    """The frame in which x and y are image positions.

    Attributes:
        depth: z0, mm; there the view frame's x and y are the camera's.
    """

    depth: float

    def from_camera(self, points: Float[ndarray, "N 3"]) -> Float[ndarray, "N 3"]:
        """From the camera frame (mm)."""
        return np.concatenate([points[:, :2] * (self.depth / points[:, 2:]), points[:, 2:]], axis=1)

    def to_camera(self, points: Float[ndarray, "N 3"]) -> Float[ndarray, "N 3"]:
        """To the camera frame (mm)."""
        return np.concatenate([points[:, :2] * (points[:, 2:] / self.depth), points[:, 2:]], axis=1)


def edge_term(
    skin: SkinStart,
    start: Float[ndarray, "N 3"],
    places: Float[ndarray, "478 2"],
    edges: float,
    others: float,
) -> LandmarkTerm:
    """Draw lids, brows and lips to where the picture shows them, and so the rest of the face's landmarks.

    Args:
        skin: what is drawn.
        start: its vertices in the view frame.
        places: the landmarks in the view frame.
        edges: weight of each landmark of lids, brows and lips.
        others: of each other landmark that is steady.

    **Source:** Zhu et al., "Beyond 3DMM: learning to capture high-fidelity 3D face shape", eq. 9.
    **Differs:** squared; not only edges; landmarks that face away or lie far off the fitted head are believed
    less.
    """
    points = skin.model.landmarks["dense478"]
    index = steady_landmarks(skin.model)
    triangle, on_skin = skin.carried(points.triangle.numpy()[index])
    index = index[on_skin]
    weight = np.where(np.isin(index, EDGES), edges, others)
    share = points.weights.double().numpy()[index]
    corners = skin.faces[triangle]
    lies = (start[corners] * share[..., None]).sum(1)
    normals = (normals_of(start, skin.faces)[corners] * share[..., None]).sum(1)
    off = np.linalg.norm(lies[:, :2] - places[index], axis=1)
    trust = weight * (-normals[:, 2] > MIN_FACING) / (1 + (off / DOUBTED) ** 2)
    target = np.concatenate([places[index], lies[:, 2:]], axis=1)
    return LandmarkTerm(triangle, share, target, trust, ACROSS)


@dataclass(frozen=True)
class ContourTerm:
    """Draws the edge of the face, wherever it lies on the skin for this pose, to the contour in the picture.

    Attributes:
        triangle: of the candidates; those of one contour landmark are a line inwards over the surface.
        corner_weights: of the candidates.
        faces: of the template.
        curve: the detected contour, a closed ring, view frame.
        weight: of each contour landmark.

    **Source:** Zhu et al., eq. 10, with landmark marching (Zhu et al. 2015, "High-fidelity pose and
    expression normalization"). **Differs:** squared; candidates of ``models.contour``.
    """

    triangle: Int64[ndarray, "C S"]
    corner_weights: Float[ndarray, "C S 3"]
    faces: Int64[ndarray, "F 3"]
    curve: Float[ndarray, "C 2"]
    weight: float

    @classmethod
    def of(cls, skin: SkinStart, places: Float[ndarray, "478 2"], weight: float) -> "ContourTerm":
        """The contour landmarks of the model.

        Args:
            skin: what is drawn.
            places: the landmarks in the view frame.
            weight: of each contour landmark.
        """
        lines = contour_lines(skin.model, "dense478")
        ring = lines.index.numpy()
        count = len(ring)
        steps = len(lines.candidates.triangle) // max(count, 1)
        triangle = lines.candidates.triangle.numpy().reshape(count, steps)
        share = lines.candidates.weights.double().numpy().reshape(count, steps, 3)
        whole = skin.kept[triangle].all(1)  # leave out lines that leave the skin
        numbered, _ = skin.carried(triangle[whole].ravel())
        return cls(
            numbered.reshape(int(whole.sum()), steps), share[whole], skin.faces, places[ring][whole], weight
        )

    def rows(
        self,
        moved: Float[ndarray, "V 3"],
        normals: Float[ndarray, "V 3"],  # noqa: ARG002  as every term
        stage: Stage,
    ) -> Rows | None:
        """The candidate that is at the edge for the head as it lies, and the nearest place on the curve."""
        if stage.landmarks <= 0 or len(self.curve) < 3:
            return None
        triangle, share = self.triangle.reshape(-1), self.corner_weights.reshape(-1, 3)
        lies = (moved[self.faces[triangle]] * share[..., None]).sum(1)
        outwards = outward_normals(torch.from_numpy(self.curve)[None])
        chosen = seen_candidates(torch.from_numpy(lies[None, :, :2]), outwards)[0].numpy()
        here = lies[chosen]
        there = nearest_on_ring(self.curve, here[:, :2])
        off = np.linalg.norm(there - here[:, :2], axis=1)
        weight = stage.landmarks**2 * self.weight / (1 + (off / DOUBTED) ** 2)
        return Rows(
            np.concatenate([there, here[:, 2:]], axis=1),
            weight,
            triangle=triangle[chosen],
            corner_weights=share[chosen],
            axes=ACROSS,
        )


def nearest_on_ring(ring: Float[ndarray, "C 2"], points: Float[ndarray, "N 2"]) -> Float[ndarray, "N 2"]:
    """The nearest point of a closed polyline to each point."""
    along = np.roll(ring, -1, axis=0) - ring
    offset = points[:, None] - ring[None]
    share = (offset * along).sum(-1) / (along**2).sum(-1).clip(1e-12)
    places = ring + share.clip(0, 1)[..., None] * along
    best = np.linalg.norm(places - points[:, None], axis=-1).argmin(1)
    return places[np.arange(len(points)), best]
