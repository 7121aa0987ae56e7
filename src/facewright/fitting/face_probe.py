"""The parts of the model that losses look at without drawing it: landmarks, lips, some of the face."""

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.core.errors import InputError
from facewright.fitting.skin import skin_mask
from facewright.models.contour import contour_lines, outward_normals, seen_candidates
from facewright.models.cropping import cropped_model
from facewright.models.face_model import FaceModel
from facewright.scene.parameters import HeadParameters

SET = "dense478"
FACE_STEP = 8  # every so many vertices of the face
HYSTERESIS = 0.0022  # of the crop's side: half a millimetre on a face that fills it
# iBUG points 17-67 among the 478, as the base head has them.
IBUG_INNER = (
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),
    *(168, 197, 5, 4, 98, 97, 2, 326, 327),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
    *(78, 82, 13, 312, 308, 317, 14, 87),
)
# The outline from the right ear (image left) over the chin to the left ear.
JAW = (
    *(127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152),
    *(377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 356),
)
JAW_POINTS = 17
# The inner margins of the lips, from the right corner of the mouth (image left) to the left one.
UPPER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)


@dataclass(frozen=True)
class FaceProbe:
    """The model at its landmarks, at the places that they may slide to, and at some vertices of the face.

    Attributes:
        mean: mm; landmarks, then candidates of the contour.
        identity: their change per coefficient.
        expression: likewise.
        contour: which landmarks slide.
        rest: mm; what closes the gap that landmarks leave between the mean head's lips, point by point.
        vertices: rows of the model that stand for the face.
        face_identity: change of these by identity, shift of each mode taken out.
        face_expression: change of these by expression.
        face_mean: mm, their middle at the origin.
        diffuse_mean: linear, on these.
        diffuse: change per coefficient.
        specular_mean: on these.
        specular: change per coefficient.
    """

    mean: Float[Tensor, "N 3"]
    identity: Float[Tensor, "I M"]
    expression: Float[Tensor, "E M"]
    contour: Int64[Tensor, " C"]
    rest: Float[Tensor, "L 3"]
    vertices: Int64[Tensor, " P"]
    face_identity: Float[Tensor, "I Q"]
    face_expression: Float[Tensor, "E Q"]
    face_mean: Float[Tensor, "P 3"]
    diffuse_mean: Float[Tensor, "P 3"]
    diffuse: Float[Tensor, "D Q"]
    specular_mean: Float[Tensor, " P"]
    specular: Float[Tensor, "S P"]

    @classmethod
    def of(cls, model: FaceModel) -> "FaceProbe":
        """Prepare a model.

        Raises:
            InputError: it has not the 478 landmarks.
        """
        if SET not in model.landmarks or len(model.landmarks[SET].triangle) != 478:
            raise InputError(f"model {model.name!r} has no landmark set {SET!r} of 478 points.")
        faces, lines = model.topology.faces, contour_lines(model, SET)

        def placed(shape: Tensor) -> Tensor:
            return torch.cat(
                [model.landmarks[SET].on(shape, faces), lines.candidates.on(shape, faces)], dim=-2
            )

        upper, lower = (placed(model.mean)[list(lip)] for lip in (UPPER_LIP, LOWER_LIP))
        rows = torch.nonzero(skin_mask(model) > 0)[:, 0][::FACE_STEP]
        identity = model.identity_basis[:, rows]
        mean = model.mean[rows]
        return cls(
            mean=placed(model.mean),
            identity=placed(model.identity_basis).flatten(1),
            expression=placed(model.expression_basis).flatten(1),
            contour=lines.index,
            rest=torch.cat([lower - upper, upper - lower]) / 2,
            vertices=rows,
            face_identity=(identity - identity.mean(1, keepdim=True)).flatten(1),
            face_expression=model.expression_basis[:, rows].flatten(1),
            face_mean=mean - mean.mean(0),
            diffuse_mean=model.diffuse_mean[rows],
            diffuse=model.diffuse_basis[:, rows].flatten(1),
            specular_mean=model.specular_mean[rows],
            specular=model.specular_basis[:, rows],
        )

    def to(self, device: torch.device | str) -> "FaceProbe":
        """Return the same probe on another device."""
        return replace(self, **{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def surface_points(
        self, identity: Float[Tensor, "B I"], expression: Float[Tensor, "B E"]
    ) -> Float[Tensor, "B N 3"]:
        """Landmarks and candidates, mm, head frame."""
        moved = identity @ self.identity + expression @ self.expression
        return self.mean + moved.unflatten(1, (-1, 3))

    def landmarks(self, head: HeadParameters) -> tuple[Float[Tensor, "B 478 3"], Float[Tensor, "B 478 3"]]:
        """The 478 points: mm in the camera frame, and on the picture (px, px, mm).

        Those of the contour lie where the outline of this view is.
        """
        points = head.pose.camera_from_head(self.surface_points(head.identity, head.expression))
        pixels = head.camera.project(points)
        count = len(points[0]) - len(self.contour) * self._steps
        fixed_points, fixed = points[:, :count], pixels[:, :count]
        if len(self.contour) == 0:
            return fixed_points, fixed
        flat = pixels[:, count:, :2].detach()
        outwards = outward_normals(flat[:, :: self._steps])
        chosen = seen_candidates(flat, outwards, HYSTERESIS * head.camera.size[0])[..., None]
        slid = pixels[:, count:].gather(1, chosen.expand(-1, -1, 3))
        slid_points = points[:, count:].gather(1, chosen.expand(-1, -1, 3))
        index = self.contour[None, :, None].expand(len(points), -1, 3)
        return fixed_points.scatter(1, index, slid_points), fixed.scatter(1, index, slid)

    def lips(self, head: HeadParameters) -> Float[Tensor, "B L 3"]:
        """The inner margins of the lips, upper then lower, in the camera frame, mm; one when closed."""
        points = self.surface_points(head.identity, head.expression)[:, [*UPPER_LIP, *LOWER_LIP]]
        return head.pose.camera_from_head(points + self.rest)

    def neutral_face(self, identity: Float[Tensor, "B I"]) -> Float[Tensor, "B P 3"]:
        """Some vertices of the face without expression, mm, their middle at the origin."""
        return self.face_mean + (identity @ self.face_identity).unflatten(1, (-1, 3))

    def by_expression(self, expression: Float[Tensor, "B E"]) -> Float[Tensor, "B P 3"]:
        """What expression moves them by, mm."""
        return (expression @ self.face_expression).unflatten(1, (-1, 3))

    def albedo(self, diffuse: Float[Tensor, "B D"]) -> Float[Tensor, "B P 3"]:
        """Their diffuse albedo, linear, not clipped."""
        return self.diffuse_mean + (diffuse @ self.diffuse).unflatten(1, (-1, 3))

    def gloss(self, specular: Float[Tensor, "B S"]) -> Float[Tensor, "B P"]:
        """Their specular intensity, not clipped."""
        return self.specular_mean + specular @ self.specular

    @property
    def _steps(self) -> int:
        """Candidates of one contour landmark."""
        return 0 if len(self.contour) == 0 else (len(self.mean) - 478) // len(self.contour)


def face_of(model: FaceModel) -> FaceModel:
    """The face and the eyes alone; a model that has no such region as it is."""
    if "face" not in model.regions:
        return model
    kept = model.regions["face"].clone()
    for name in ("left_eye", "right_eye"):
        if name in model.parts:
            kept |= model.parts[name]
    return cropped_model(model, kept)


def ibug68(points: Float[Tensor, "B 478 2"]) -> Float[Tensor, "B 68 2"]:
    """The 68 points of iBUG from the 478 of a picture: the outline at equal steps, then named points."""
    line = points[:, list(JAW)]
    lengths = (line[:, 1:] - line[:, :-1]).square().sum(-1).clamp_min(1e-12).sqrt().detach()
    along = torch.cat([torch.zeros_like(lengths[:, :1]), lengths.cumsum(1)], dim=1)
    steps = torch.linspace(0, 1, JAW_POINTS, dtype=points.dtype, device=points.device)
    wanted = steps * along[:, -1:]
    after = torch.searchsorted(along.contiguous(), wanted.contiguous()).clamp(1, len(JAW) - 1)
    low, high = along.gather(1, after - 1), along.gather(1, after)
    part = ((wanted - low) / (high - low).clamp_min(1e-9))[..., None]
    before = line.gather(1, (after - 1)[..., None].expand(-1, -1, 2))
    behind = line.gather(1, after[..., None].expand(-1, -1, 2))
    return torch.cat([before + part * (behind - before), points[:, list(IBUG_INNER)]], dim=1)
