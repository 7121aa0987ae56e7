"""Landmarks as photos show them: points of the contour lie on the outline that the view has."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from facewright.models.contour import ContourLines, contour_lines, outward_normals, seen_candidates
from facewright.models.face_model import FaceModel, LandmarkSet
from facewright.scene.camera import Camera
from facewright.scene.pose import Pose

SETS = ("ibug68", "dense478")


@dataclass(frozen=True)
class PhotoLandmarks:
    """The landmark sets of a model with what their contour points may slide along.

    Attributes:
        faces: triangles of the model.
        sets: by name.
        lines: by name.
    """

    faces: Int64[Tensor, "F 3"]
    sets: dict[str, LandmarkSet]
    lines: dict[str, ContourLines]

    @classmethod
    def of(cls, model: FaceModel) -> "PhotoLandmarks":
        """Prepare the sets that a model has."""
        sets = {name: model.landmarks[name] for name in SETS if name in model.landmarks}
        return cls(model.topology.faces, sets, {name: contour_lines(model, name) for name in sets})

    def seen(
        self,
        name: str,
        vertices: Float[Tensor, "B V 3"],
        pose: Pose,
        camera: Camera,
        visible: Bool[Tensor, "B V"],
    ) -> tuple[Float[Tensor, "B L 2"], Bool[Tensor, "B L"]]:
        """Pixels of a set's points, and which of them the camera sees; none if the model has no such set.

        Args:
            name: of the set.
            vertices: mm, head frame.
            pose: of the heads.
            camera: of the photos.
            visible: vertices that the camera sees; a point is seen if most of its triangle's weight is.
        """
        batch = len(vertices)
        if name not in self.sets:
            return vertices.new_zeros(batch, 0, 2), visible[:, :0]
        placed, lines = self.sets[name], self.lines[name]
        points = placed.on(vertices, self.faces)
        shares = _shares(placed, self.faces, visible)
        if len(lines.index):
            lying = lines.candidates.on(vertices, self.faces)
            before = pose.camera_from_head(lying)
            flat = camera.project(before)[..., :2] / _pixels_for_mm(camera, before)
            own = flat[:, :: flat.shape[1] // len(lines.index)]  # the first of each landmark's candidates
            chosen = seen_candidates(flat, outward_normals(own))
            rows = torch.arange(batch, device=chosen.device)[:, None]
            points[:, lines.index] = lying[rows, chosen]
            shares[:, lines.index] = _shares(lines.candidates, self.faces, visible)[rows, chosen]
        return camera.project(pose.camera_from_head(points))[..., :2], shares > 0.5


def _shares(
    points: LandmarkSet, faces: Int64[Tensor, "F 3"], visible: Bool[Tensor, "B V"]
) -> Float[Tensor, "B L"]:
    """How much of each point's weight is on vertices that are seen."""
    return (visible[:, faces[points.triangle]] * points.weights).sum(-1)


def _pixels_for_mm(camera: Camera, points: Float[Tensor, "B N 3"]) -> Float[Tensor, "B 1 1"]:
    """At the middle of some points."""
    place = points.mean(1, keepdim=True)
    beside = place + place.new_tensor([1.0, 0.0, 0.0])
    return (camera.project(beside) - camera.project(place))[..., :1]
