"""Heads, views and light at random: the distributions, as one record, and draws from them."""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from facewright.data.draws import row
from facewright.data.sensor import SensorSettings
from facewright.fitting.appearance import BANDS, LightPrior
from facewright.geometry.rotation import rotation_from_axis_angle
from facewright.models.face_model import FaceModel
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import SH_CONSTANTS, SphericalHarmonicsLight
from facewright.scene.pose import Pose

LAMP_DISTANCE = 1500.0  # mm from the head


@dataclass(frozen=True)
class ExpressionSettings:
    """How expressions are drawn.

    Attributes:
        strength: ends of the uniform factor on the spread of the model's prior; above 1 is wider than people.
        active: share of the expressions that a face shows at all.
        open_mouth: share of faces whose jaw opens by 0.2 to 1, whatever the prior says.
        closed_eyes: share of faces with closed eyes, likewise.
        largest_blink: of the other faces.
    """

    strength: tuple[float, float] = (0.0, 1.5)
    active: float = 0.6
    open_mouth: float = 0.35
    closed_eyes: float = 0.25
    largest_blink: float = 0.4


@dataclass(frozen=True)
class PoseSettings:
    """How heads are turned, radians; angles beyond a limit are drawn to it.

    Attributes:
        yaw: standard deviation of heads that face the camera.
        turned: share of heads that are turned evenly, to any angle of ``turned_yaw``.
        turned_yaw: ends of that angle, to both sides.
        pitch: standard deviation.
        pitch_limit: the largest.
        roll: standard deviation.
    """

    yaw: float = math.radians(14)
    turned: float = 0.25
    turned_yaw: tuple[float, float] = (0.0, math.radians(45))
    pitch: float = math.radians(9)
    pitch_limit: float = math.radians(35)
    roll: float = math.radians(7)


@dataclass(frozen=True)
class OccluderSettings:
    """How often something hides a part of the head, as shares of all heads.

    Attributes:
        hair: hair of the head.
        long_hair: hair that falls beside the neck.
        glasses: frames before the eyes.
        dark_glasses: of the glasses, those that nothing is seen through.
        hand: a hand before the face.
        thing: something round before the face.
        clothes: shoulders below the neck.
    """

    hair: float = 0.9
    long_hair: float = 0.4
    glasses: float = 0.25
    dark_glasses: float = 0.2
    hand: float = 0.1
    thing: float = 0.04
    clothes: float = 1.0


@dataclass(frozen=True)
class SamplingSettings:
    """Every distribution of a set of synthetic photos.

    Attributes:
        size: side of the picture, px.
        texture_size: side of the texture maps, texels.
        identity: standard deviation of the coefficients.
        tone: the first albedo coefficient, which is most of how dark skin is, is uniform within +- this.
        albedo: standard deviation of the other albedo coefficients, and of the specular ones.
        shininess: Blinn-Phong exponent of the skin, even in the logarithm.
        distance: mm from the camera, even in the logarithm.
        margin: side of the picture for one side of the box around the landmarks, uniform.
        shift: standard deviation of where the box's middle lies, in sides of the picture.
        light: soft light, as the photometric fit expects it in photos.
        light_strength: ends of the uniform factor on how much soft light varies with direction.
        darkest: least soft light on any side, for its mean.
        lamp: share of pictures with a hard light as well.
        lamp_intensity: its brightness, uniform.
        expression: how expressions are drawn.
        pose: how heads are turned.
        occluders: what hides heads.
        sensor: cameras.
    """

    size: int = 224
    texture_size: int = 256
    identity: float = 1.0
    tone: float = 2.6
    albedo: float = 1.0
    shininess: tuple[float, float] = (8.0, 50.0)
    distance: tuple[float, float] = (400.0, 2500.0)
    margin: tuple[float, float] = (1.4, 2.1)
    shift: float = 0.03
    light: LightPrior = field(default_factory=LightPrior)
    light_strength: tuple[float, float] = (0.7, 2.4)
    darkest: float = 0.15
    lamp: float = 0.6
    lamp_intensity: tuple[float, float] = (0.1, 1.2)
    expression: ExpressionSettings = ExpressionSettings(open_mouth=0.12, closed_eyes=0.06)
    pose: PoseSettings = PoseSettings()
    occluders: OccluderSettings = OccluderSettings()
    sensor: SensorSettings = field(default_factory=SensorSettings)


@dataclass(frozen=True)
class Person:
    """Coefficients of heads and the exponent of their skin's highlights, one row each."""

    identity: Float[Tensor, "B K_identity"]
    expression: Float[Tensor, "B K_expression"]
    diffuse: Float[Tensor, "B K_diffuse"]
    specular: Float[Tensor, "B K_specular"]
    shininess: Float[Tensor, " B"]


def expression_spread(model: FaceModel) -> Float[np.ndarray, "E E"]:
    """What independent normal draws become draws of the model's prior by, without its mean."""
    prior = model.expression_prior
    values, vectors = np.linalg.eigh(prior.correlation.double().numpy())
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return prior.std.double().numpy()[:, None] * root


def draw_person(
    model: FaceModel,
    settings: SamplingSettings,
    spread: Float[np.ndarray, "E E"],
    rng: np.random.Generator,
) -> Person:
    """A person at random with an expression at random; ``spread`` is the model's ``expression_spread``."""
    least, most = settings.shininess
    diffuse = settings.albedo * rng.normal(size=model.diffuse_count)
    diffuse[:1] = rng.uniform(-settings.tone, settings.tone)
    return Person(
        row(settings.identity * rng.normal(size=model.identity_count)),
        draw_expression(model, settings.expression, rng, spread)[None],
        row(diffuse),
        row(settings.albedo * rng.normal(size=model.specular_count)),
        row(math.exp(rng.uniform(math.log(least), math.log(most)))),
    )


def draw_expression(
    model: FaceModel,
    settings: ExpressionSettings,
    rng: np.random.Generator,
    spread: Float[np.ndarray, "E E"] | None = None,
) -> Float[Tensor, " E"]:
    """Activations of a face in a photograph, in part with an open mouth or closed eyes.

    Args:
        model: whose expressions.
        settings: how they are drawn.
        rng: of the drawing.
        spread: the model's ``expression_spread``; None draws each expression by itself.
    """
    prior, names = model.expression_prior, model.expression_names
    strength = rng.uniform(*settings.strength)
    normal = rng.normal(size=len(names))
    # Not by a matrix product, whose order of additions is the library's own.
    moved = prior.std.numpy() * normal if spread is None else (spread * normal).sum(1)
    drawn = prior.mean.numpy() + strength * moved
    shows = rng.random(len(names)) < settings.active
    place = {name: number for number, name in enumerate(names)}
    gaze = [number for name, number in place.items() if name.startswith("eyeLook")]
    shows[gaze] = shows[gaze[:1]]  # eyes look together
    drawn = np.where(shows, drawn, 0.0)
    if rng.random() < settings.open_mouth and "jawOpen" in place:
        drawn[place["jawOpen"]] = rng.uniform(0.2, 1.0)
    shut = rng.random() < settings.closed_eyes
    closed = rng.uniform(0.6, 1.0) if shut else rng.uniform(0.0, settings.largest_blink)
    for side in ("Left", "Right"):
        if f"eyeBlink{side}" in place:
            drawn[place[f"eyeBlink{side}"]] = closed
        if f"eyeWide{side}" in place:
            drawn[place[f"eyeWide{side}"]] *= closed < 0.3
        if f"eyeSquint{side}" in place and not shut:  # lids that hang are not narrowed as much again
            drawn[place[f"eyeSquint{side}"]] *= 1 - closed
    if "mouthClose" in place:
        drawn[place["mouthClose"]] = 0.0
    return torch.from_numpy(drawn.clip(0, 1).astype(np.float32))


def draw_turn(settings: PoseSettings, rng: np.random.Generator) -> Float[np.ndarray, " 3"]:
    """Yaw, pitch and roll of a head, radians; yaw above 0 turns the face to the right of the picture."""
    yaw = rng.normal(0, settings.yaw)
    if rng.random() < settings.turned:
        yaw = rng.choice([-1, 1]) * rng.uniform(*settings.turned_yaw)
    pitch = np.clip(rng.normal(0, settings.pitch), -settings.pitch_limit, settings.pitch_limit)
    return np.array([yaw, pitch, rng.normal(0, settings.roll)])


def rotation_of(turn: Float[np.ndarray, " 3"]) -> Float[Tensor, "3 3"]:
    """camera_from_head of yaw, pitch and roll: the head turns, then nods, then leans."""
    yaw, pitch, roll = turn
    axes = torch.tensor([[0.0, yaw, 0.0], [pitch, 0.0, 0.0], [0.0, 0.0, roll]], dtype=torch.float32)
    turned, nodded, leant = rotation_from_axis_angle(axes)
    return torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ leant @ nodded @ turned


@dataclass(frozen=True)
class ViewDraw:
    """What is random of a view.

    Attributes:
        distance: mm from the camera.
        margin: side of the picture for one of the box around the landmarks.
        place: of the box's middle, in sides of the picture from its top left corner.
    """

    distance: Float[Tensor, " B"]
    margin: Float[Tensor, " B"]
    place: Float[Tensor, "B 2"]


def draw_view(settings: SamplingSettings, rng: np.random.Generator) -> ViewDraw:
    """A view at random."""
    low, high = (math.log(end) for end in settings.distance)
    distance, margin = math.exp(rng.uniform(low, high)), rng.uniform(*settings.margin)
    return ViewDraw(row(distance), row(margin), row(0.5 + settings.shift * rng.normal(size=2)))


def placed_view(
    landmarks: Float[Tensor, "B L 3"], rotation: Float[Tensor, "B 3 3"], draw: ViewDraw, size: int
) -> tuple[Pose, PerspectiveCamera]:
    """Poses, and cameras whose pictures hold the landmarks with some room around them.

    Args:
        landmarks: mm, head frame.
        rotation: camera_from_head.
        draw: what is random.
        size: side of the picture, px.
    """
    middle = (landmarks.amin(1) + landmarks.amax(1)) / 2
    ahead = torch.stack([*[torch.zeros_like(draw.distance)] * 2, draw.distance], -1)
    pose = Pose(rotation, ahead - (rotation * middle[:, None]).sum(-1))
    points = pose.camera_from_head(landmarks)
    flat = points[..., :2] / points[..., 2:]
    least, most = flat.amin(1), flat.amax(1)
    focal = size / draw.margin / (most - least).amax(1)
    principal = size * draw.place - focal[:, None] * (least + most) / 2
    return pose, PerspectiveCamera(focal, principal, (size, size))


@dataclass(frozen=True)
class LampDraw:
    """A hard light: mm from the head's origin, camera frame, and brightness (linear RGB; 0 is none)."""

    offset: Float[Tensor, "B 3"]
    intensity: Float[Tensor, "B 3"]


def draw_light(
    settings: SamplingSettings, rng: np.random.Generator
) -> tuple[SphericalHarmonicsLight, LampDraw]:
    """Soft light, and a lamp."""
    prior = settings.light
    level = max(0.2, prior.level + prior.level_std * rng.normal())
    strength = level / prior.level * rng.uniform(*settings.light_strength)
    spread = np.array([prior.band_std[band] for band in BANDS]) * strength
    color = np.array([prior.color_std[band] for band in BANDS]) * level / prior.level
    common = spread * rng.normal(size=9)
    common[0] = level / SH_CONSTANTS[0]
    common[1] = -abs(common[1])  # lamps and skies are above (-Y) more often than below
    # No side of a head is darker than a part of its mean: there is always some light from around.
    contrast = np.linalg.norm(common[1:4]) * SH_CONSTANTS[1] + np.linalg.norm(common[4:]) * SH_CONSTANTS[8]
    common[1:] *= min(1.0, (1 - settings.darkest) * level / contrast)
    coefficients = common[:, None] + color[:, None] * rng.normal(size=(9, 3))
    light = SphericalHarmonicsLight(row(coefficients))
    if rng.random() >= settings.lamp:
        return light, LampDraw(row(np.array([0.0, 0.0, -LAMP_DISTANCE])), row(np.zeros(3)))
    direction = rng.normal(size=3) * [1.0, 0.7, 0.6] + [0.0, -0.6, -0.9]
    offset = LAMP_DISTANCE * direction / np.linalg.norm(direction)
    tint = np.exp(0.08 * rng.normal(size=3))
    intensity = level * rng.uniform(*settings.lamp_intensity) * tint
    return light, LampDraw(row(offset), row(intensity))
