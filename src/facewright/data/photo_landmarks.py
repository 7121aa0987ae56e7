"""Landmarks as a photo shows them: points of the contour lie on the outline that the view has."""

from dataclasses import dataclass

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
        vertices: Float[Tensor, "V 3"],
        pose: Pose,
        camera: Camera,
        visible: Bool[Tensor, " V"],
    ) -> tuple[Float[Tensor, "L 2"], Bool[Tensor, " L"]]:
        """Pixels of a set's points, and which of them the camera sees; none if the model has no such set.

        Args:
            name: of the set.
            vertices: mm, head frame.
            pose: of the head.
            camera: of the photo.
            visible: vertices that the camera sees; a point is seen if most of its triangle's weight is.
        """
        if name not in self.sets:
            return vertices.new_zeros(0, 2), visible[:0]
        placed = self.sets[name]
        triangle, weights = placed.triangle.clone(), placed.weights.clone()
        lines = self.lines[name]
        if len(lines.index):
            lying = lines.candidates.on(vertices, self.faces)
            points = pose.camera_from_head(lying[None])
            flat = camera.project(points)[..., :2] / _pixels_for_mm(camera, points.mean(1, keepdim=True))
            own = flat[:, :: flat.shape[1] // len(lines.index)]  # the first of each landmark's candidates
            chosen = seen_candidates(flat, outward_normals(own))[0]
            triangle[lines.index] = lines.candidates.triangle[chosen]
            weights[lines.index] = lines.candidates.weights[chosen]
        points = LandmarkSet(triangle, weights, placed.contour).on(vertices, self.faces)
        there = camera.project(pose.camera_from_head(points[None]))[0, :, :2]
        share = (visible[self.faces[triangle]] * weights).sum(1)
        return there, share > 0.5


def _pixels_for_mm(camera: Camera, place: Float[Tensor, "1 1 3"]) -> Float[Tensor, ""]:
    beside = place + place.new_tensor([1.0, 0.0, 0.0])
    return (camera.project(beside) - camera.project(place))[0, 0, 0]
