"""Everything random about one photo, drawn before there is a head: the sample of a generator."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from facewright.data.backdrops import BackdropDraw, Backdrops
from facewright.data.sampling import (
    LampDraw,
    Person,
    SamplingSettings,
    ViewDraw,
    draw_light,
    draw_person,
    draw_turn,
    draw_view,
    rotation_of,
)
from facewright.data.sensor import SensorDraw, draw_sensor
from facewright.data.things import ThingsDraw, draw_things
from facewright.models.face_model import FaceModel
from facewright.scene.lighting import SphericalHarmonicsLight


@dataclass(frozen=True)
class Scene:
    """What is random before the camera; a row a photo.

    Attributes:
        person: coefficients.
        rotation: camera_from_head.
        view: where the camera is.
        light: soft light.
        lamp: hard light.
        things: on the head and before it.
    """

    person: Person
    rotation: Float[Tensor, "B 3 3"]
    view: ViewDraw
    light: SphericalHarmonicsLight
    lamp: LampDraw
    things: ThingsDraw


@dataclass(frozen=True)
class Shot:
    """One photo: the scene (one row), what is behind, the camera."""

    scene: Scene
    backdrop: BackdropDraw
    sensor: SensorDraw


def draw_shot(
    model: FaceModel,
    spread: Float[ndarray, "E E"],
    settings: SamplingSettings,
    places: tuple[int, Backdrops],
    rng: np.random.Generator,
) -> Shot:
    """A photo at random.

    Args:
        model: on the CPU.
        spread: the model's ``expression_spread``.
        settings: the distributions.
        places: vertices of the model's hair, and where backdrops come from.
        rng: of the drawing.

    Raises:
        ImageError: a picture of the backdrops cannot be read.
    """
    hair_count, backdrops = places
    person = draw_person(model, settings, spread, rng)
    turn = draw_turn(settings.pose, rng)
    view = draw_view(settings, rng)
    light, lamp = draw_light(settings, rng)
    things = draw_things(settings.occluders, float(turn[0]), hair_count, rng)
    backdrop = backdrops.draw(settings.size, rng)
    scene = Scene(person, rotation_of(turn)[None], view, light, lamp, things)
    return Shot(scene, backdrop, draw_sensor(settings.sensor, rng))
