"""What a fit returns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from jaxtyping import Float, Int64
from torch import Tensor

from facewright.core.errors import InputError
from facewright.core.tensor_records import map_tensors
from facewright.detection.points import OUTER_EYES
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.parameters import HeadParameters

LANDMARK_SET = "dense478"
Record = TypeVar("Record")


@dataclass(frozen=True)
class FaceFit:
    """A head model fitted to faces, one row a face.

    Attributes:
        parameters: all parameters of the heads. ``camera.size`` is the photo's size, or, where the photos
            of a batch differ in size, the smallest size that holds them all; ``select`` gives each its own.
        sizes: (height, width) of each photo in pixels.
        landmarks_head: the 478 points on the fitted surface, mm, head frame.
        landmarks_px: their image in the photo, pixels.
        detected_px: the points that the head was fitted to, pixels.
        residual: mean distance from the detected points of those that the landmarker is expected to see (the
            landmarks and ``placement``), contour left out, as a fraction of the distance between the outer
            eye corners.
        clipped: share of the face's skin that is as bright or as dark as its photo can say; None if its
            pixels were not looked at.
        placement: how far beside the head the landmarker sees its points on anyone, mm, head frame; None:
            on it.
    """

    parameters: HeadParameters
    sizes: tuple[tuple[int, int], ...]
    landmarks_head: Float[Tensor, "B 478 3"]
    landmarks_px: Float[Tensor, "B 478 2"]
    detected_px: Float[Tensor, "B 478 2"]
    residual: Float[Tensor, " B"]
    clipped: Float[Tensor, " B"] | None = None
    placement: Float[Tensor, "478 3"] | None = None

    def select(self, index: int) -> "FaceFit":
        """The fit of one face, with the size of its own photo.

        Raises:
            InputError: there is no such face.
        """
        if not 0 <= index < len(self.sizes):
            raise InputError(f"the fit holds faces 0 to {len(self.sizes) - 1}, got {index}.")
        return replace(
            self,
            parameters=select_parameters(self.parameters, index, self.sizes[index]),
            sizes=(self.sizes[index],),
            landmarks_head=self.landmarks_head[index : index + 1],
            landmarks_px=self.landmarks_px[index : index + 1],
            detected_px=self.detected_px[index : index + 1],
            residual=self.residual[index : index + 1],
            clipped=None if self.clipped is None else self.clipped[index : index + 1],
        )


def select_parameters(parameters: HeadParameters, index: int, size: tuple[int, int]) -> HeadParameters:
    """The parameters of one head of a batch, as a batch of one, with its photo's (height, width).

    A point light that gives no light is none.
    """
    chosen = select_rows(parameters, slice(index, index + 1))
    if chosen.point_light is not None and not bool(chosen.point_light.intensity.any()):
        chosen = replace(chosen, point_light=None)
    return replace(chosen, camera=replace(chosen.camera, size=size))


def enclosing_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The smallest (height, width) that holds all the given ones."""
    return max(size[0] for size in sizes), max(size[1] for size in sizes)


def landmark_error(
    fitted: Float[Tensor, "B 478 2"], detected: Float[Tensor, "B 478 2"], keep: Float[Tensor, "B 478"]
) -> Float[Tensor, " B"]:
    """Mean distance of the kept points as a fraction of the detected outer eye distance.

    Args:
        fitted: pixels.
        detected: pixels.
        keep: weight of each point; a face without any gives 0.
    """
    eyes = (detected[:, OUTER_EYES[0]] - detected[:, OUTER_EYES[1]]).norm(dim=-1)
    distance = ((fitted - detected).norm(dim=-1) * keep).sum(1) / keep.sum(1).clamp_min(1e-12)
    return distance / eyes.clamp_min(1e-6)


def project_landmarks(
    parameters: HeadParameters, landmarks_head: Float[Tensor, "B 478 3"]
) -> Float[Tensor, "B 478 2"]:
    """Pixels of points given in the head frame (mm)."""
    return parameters.camera.project(parameters.pose.camera_from_head(landmarks_head))[..., :2]


def photo_camera(
    focal: Float[Tensor, " B"], principal: Float[Tensor, "B 2"], sizes: Sequence[tuple[int, int]]
) -> PerspectiveCamera:
    """A camera record for photos that may differ in size."""
    return PerspectiveCamera(focal, principal, enclosing_size(sizes))


def select_rows(record: Record, rows: slice | Int64[Tensor, " N"]) -> Record:
    """Some rows of every tensor in a record of tensors and records."""
    return map_tensors(lambda value: value[rows], record)
