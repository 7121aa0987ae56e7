"""The encoder: from an aligned grey crop to scale, direction, expression, albedo, light, pose and camera."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize, softplus

from facewright.core.errors import InputError
from facewright.detection.aligned_crop import DENSE, SIZE, TEMPLATE
from facewright.geometry.rotation import rotation_from_axis_angle
from facewright.models.face_model import FaceModel
from facewright.models.sphere_model import SphereModel
from facewright.networks.recognition import RecognitionNetwork, RecognitionNetworkSettings
from facewright.scene.camera import WeakPerspectiveCamera
from facewright.scene.lighting import SphericalHarmonicsLight, ambient_light
from facewright.scene.parameters import HeadParameters
from facewright.scene.pose import Pose

# Changes by an output of 1: radians, logarithm of the scale, px, activation, light (of each harmonic).
TURN_STEP, SIZE_STEP, SHIFT_STEP, EXPRESSION_STEP = 0.3, 0.1, 2.0, 0.3
LIGHT_LEVEL, LIGHT_STEP = 0.8, (1.0, 0.6, 0.6, 0.6, 0.3, 0.3, 0.3, 0.3, 0.3)
DEPTH = 1000.0  # mm to the camera; an orthographic one does not tell
START = 0.5413  # softplus of this is 1


@dataclass(frozen=True)
class EncoderSettings:
    """Sizes of the encoder (numbers only: they are stored with its weights).

    Attributes:
        widths: channels of the stem and the stages.
        blocks: residual blocks of the stages.
        shrink: pixels of the crop in a row that are averaged into one before anything else.
        features: numbers from which identity is told.
        bottleneck: independent numbers that identity may use.
        hidden: units before the heads of everything else.
        dimensions: of the direction.
        expression: activations.
        diffuse: albedo coefficients.
    """

    widths: tuple[int, ...] = (32, 64, 128)
    blocks: tuple[int, ...] = (1, 1)
    shrink: int = 2
    features: int = 128
    bottleneck: int = 24
    hidden: int = 192
    dimensions: int = 140
    expression: int = 52
    diffuse: int = 28

    @property
    def trunk(self) -> RecognitionNetworkSettings:
        """Of the recognition network that the encoder starts from."""
        return RecognitionNetworkSettings(self.widths, self.blocks, self.shrink, self.features)

    @classmethod
    def of_paper(cls, model: SphereModel) -> "EncoderSettings":
        """As many blocks as IR-50, on every pixel."""
        face = model.face_model
        return cls(
            widths=(64, 128, 256, 512),
            blocks=(4, 14, 3),
            shrink=1,
            features=512,
            bottleneck=512,
            hidden=512,
            dimensions=model.dimensions,
            expression=face.expression_count,
            diffuse=face.diffuse_count,
        )


def head_sizes(settings: EncoderSettings) -> dict[str, int]:
    """How many numbers the last layer gives for what, in their order."""
    return {
        "scale": 1,
        "expression": settings.expression,
        "diffuse": settings.diffuse,
        "light": 9,
        "rotation": 3,
        "size": 1,
        "shift": 2,
    }


@dataclass(frozen=True)
class EncoderOutputs:
    """Raw outputs.

    Attributes:
        code: the identity in standard deviations of the model, before it is made a direction.
        rest: of ``head_sizes``.
    """

    code: Float[Tensor, "B D"]
    rest: Float[Tensor, "B R"]


class SphereEncoder(nn.Module):
    """A recognition network whose features also make a face.

    ``mixing`` is what training changes the basis by: A becomes (I + mixing) A, so that every mesh stays one
    of the frozen model's. ``likeness`` is what all else that is seen adds to the identity; it is nothing
    where no shapes are known.

    **Source:** a backbone as recognition has it with linear heads, section 4 of the paper and its code.
    **Differs:** an axis and an angle for the quaternion; grey light (9 numbers), since crops are grey; the
    identity passes through ``bottleneck`` numbers; the basis changes within its own span, where the paper
    adds a matrix of all vertices.
    """

    def __init__(self, settings: EncoderSettings = EncoderSettings()) -> None:
        super().__init__()
        self.settings = settings
        self.trunk = RecognitionNetwork(settings.trunk)
        flat = self.trunk.project.in_features
        self.code = nn.Linear(settings.features, settings.bottleneck, bias=False)
        self.spread = nn.Linear(settings.bottleneck, settings.dimensions)
        self.hidden = nn.Linear(flat + 2, settings.hidden)
        self.level = nn.LayerNorm(settings.hidden)
        self.heads = nn.Linear(settings.hidden, sum(head_sizes(settings).values()))
        self.mixing = nn.Parameter(torch.zeros(settings.dimensions, settings.dimensions))
        self.likeness = nn.Parameter(torch.zeros(settings.dimensions, settings.hidden))
        nn.init.zeros_(self.spread.bias)
        nn.init.zeros_(self.heads.weight)
        nn.init.zeros_(self.heads.bias)

    def forward(self, grey: Float[Tensor, "B 1 112 112"], *, frozen_trunk: bool = False) -> EncoderOutputs:
        """Raw outputs for grey crops, sRGB luma in [0, 1]; a frozen trunk gets no gradient."""
        features, hidden = self.look(grey, frozen_trunk=frozen_trunk)
        return EncoderOutputs(self.identity(features, hidden), self.heads(hidden))

    def identity(self, features: Float[Tensor, "B F"], hidden: Float[Tensor, "B H"]) -> Float[Tensor, "B D"]:
        """The code that ``look`` leads to, in standard deviations."""
        return self.spread(self.code(features)) + hidden @ self.likeness.T

    def look(
        self, grey: Float[Tensor, "B 1 112 112"], *, frozen_trunk: bool = False
    ) -> tuple[Float[Tensor, "B F"], Float[Tensor, "B H"]]:
        """Features of recognition, and the hidden units that tell everything else."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen_trunk):
            features, flat = self.trunk.look(grey)
        # The trunk takes brightness and contrast out; light needs them.
        seen = torch.cat([grey.mean((2, 3)), grey.std((2, 3))], 1)
        return features, torch.relu(self.level(self.hidden(torch.cat([flat, 4 * seen], 1))))


def mean_outputs(first: EncoderOutputs, second: EncoderOutputs) -> EncoderOutputs:
    """The identity of a crop and of its mirror image together; all else is the crop's."""
    scale = (first.rest[:, :1] + second.rest[:, :1]) / 2
    return EncoderOutputs(first.code + second.code, torch.cat([scale, first.rest[:, 1:]], 1))


@dataclass(frozen=True)
class SphereHead:
    """What the encoder finds in crops.

    Attributes:
        scale: mm times root of vertices, above 0.
        direction: of unit length: the identity.
        parameters: the heads, seen by the crops' orthographic camera.
    """

    scale: Float[Tensor, " B"]
    direction: Float[Tensor, "B D"]
    parameters: HeadParameters

    @property
    def code(self) -> Float[Tensor, "B D"]:
        """Scale times direction."""
        return self.scale[:, None] * self.direction


@dataclass(frozen=True)
class Decoder:
    """How raw outputs become heads of a model.

    Attributes:
        model: the head.
        deviations: of the code's axes, mm times root of vertices.
        size: px of the crop for a mm of the mean head.
        shift: px; where its origin lies.
        scale: that an output of 0 stands for.
    """

    model: FaceModel
    deviations: Float[Tensor, " D"]
    size: float
    shift: tuple[float, float]
    scale: float

    @classmethod
    def of(cls, model: FaceModel, deviations: Float[Tensor, " D"], scale: float) -> "Decoder":
        """For a model whose mean head lies in crops as ``aligned_crop`` cuts them.

        Raises:
            InputError: the model has not the 478 landmarks.
        """
        five = _five_of(model)
        template = torch.tensor(TEMPLATE) + 0.5
        flat = five[:, :2] * five.new_tensor([1.0, -1.0])  # frontal: up in the head is up in the picture
        spread = [points - points.mean(0) for points in (flat, template.to(flat))]
        size = float((spread[0] * spread[1]).sum() / spread[0].square().sum())
        x, y = (template.to(flat).mean(0) - size * flat.mean(0)).tolist()
        return cls(model, deviations, size, (x, y), scale)

    def decode(self, outputs: EncoderOutputs, settings: EncoderSettings, mixing: Tensor) -> SphereHead:
        """Heads of raw outputs; those of 0 are mean poses, mean expressions and soft light.

        Their identity is in standard deviations of the sphere's axes.

        Raises:
            InputError: the encoder is of another model.
        """
        model = self.model
        wanted = (settings.dimensions, settings.expression, settings.diffuse)
        own = (len(self.deviations), model.expression_count, model.diffuse_count)
        if own != wanted:
            raise InputError(
                f"the encoder was trained for a head with {wanted} coefficients (identity, expression, "
                f"diffuse), got one with {own}: use the head that it was trained with."
            )
        sizes = head_sizes(settings)
        part = dict(zip(sizes, outputs.rest.split(list(sizes.values()), dim=1), strict=True))
        scale = self.scale * softplus(part["scale"][:, 0] + START)
        direction = normalize(outputs.code * self.deviations, dim=1, eps=1e-6)
        code = scale[:, None] * (direction + direction @ mixing)
        parameters = HeadParameters(
            identity=code / self.deviations,
            expression=_bounded(model.expression_prior.mean + EXPRESSION_STEP * part["expression"]),
            diffuse=part["diffuse"],
            specular=code.new_zeros(len(code), model.specular_count),
            pose=_pose(part["rotation"]),
            camera=self._camera(part["size"][:, 0], part["shift"]),
            light=_light(part["light"]),
        )
        return SphereHead(scale, direction, parameters)

    def _camera(self, size: Float[Tensor, " B"], shift: Float[Tensor, "B 2"]) -> WeakPerspectiveCamera:
        offset = shift.new_tensor(self.shift) + SHIFT_STEP * shift
        return WeakPerspectiveCamera(self.size * (SIZE_STEP * size).exp(), offset, (SIZE, SIZE))


def _five_of(model: FaceModel) -> Float[Tensor, "5 3"]:
    """The five points of the mean head that crops are aligned by."""
    points = model.landmark_points(model.mean, "dense478")
    return torch.stack([points[list(group)].mean(0) for group in DENSE])


def _pose(turn: Float[Tensor, "B 3"]) -> Pose:
    frontal = torch.diag(turn.new_tensor([1.0, -1.0, -1.0]))
    away = turn.new_tensor([0.0, 0.0, DEPTH]).expand(len(turn), 3)
    return Pose(rotation_from_axis_angle(TURN_STEP * turn) @ frontal, away)


def _light(raw: Float[Tensor, "B 9"]) -> SphericalHarmonicsLight:
    start = ambient_light(len(raw), LIGHT_LEVEL, device=raw.device).coefficients
    return SphericalHarmonicsLight(start + (raw * raw.new_tensor(LIGHT_STEP))[..., None])


def _bounded(values: Tensor) -> Tensor:
    """Values clipped to [0, 1], with the gradient of the values themselves."""
    return values + (values.clamp(0, 1) - values).detach()
