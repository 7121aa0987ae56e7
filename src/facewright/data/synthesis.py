"""Synthetic photos: the sample of a seed and an index, alone or in a stream, always the same."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from facewright.core.errors import InputError
from facewright.data import occluders
from facewright.data.backdrops import Backdrops
from facewright.data.face_frame import FaceFrame
from facewright.data.hair import HANGING_COUNT, HANGING_FACES, HairShell, draw_hair, hanging_hair
from facewright.data.photo_landmarks import PhotoLandmarks
from facewright.data.props import Prop, absent_prop, joined
from facewright.data.records import Sample
from facewright.data.rendering import SceneTopology, photographed
from facewright.data.sampling import (
    Person,
    SamplingSettings,
    draw_light,
    draw_person,
    draw_turn,
    draw_view,
    expression_spread,
)
from facewright.data.sensor import draw_sensor
from facewright.geometry.normals import vertex_normals
from facewright.models.combination import combine
from facewright.models.face_model import FaceModel
from facewright.scene.parameters import HeadParameters

BLOCK = 8  # heads of a stream whose vertices are made together
NEEDED = "ibug68"
NECK = 12.0  # mm above the lowest skin that still is the neck's end


@dataclass(frozen=True)
class Studio:
    """What all photos of one model share; make it once with ``open_studio``.

    Attributes:
        model: the head.
        settings: the distributions.
        topology: head and things as one mesh.
        hair: where hair may grow.
        landmarks: of the model, on the outline where they belong there.
        backdrops: what is behind heads.
        spread: of the model's expressions.
    """

    model: FaceModel
    settings: SamplingSettings
    topology: SceneTopology
    hair: HairShell
    landmarks: PhotoLandmarks
    backdrops: Backdrops
    spread: Float[ndarray, "E E"]


def open_studio(
    model: FaceModel, settings: SamplingSettings | None = None, backdrops: Backdrops | None = None
) -> Studio:
    """Prepare to photograph heads of a model.

    Raises:
        InputError: the model has not the 68 points of iBUG or no part named "skin".
    """
    settings = settings or SamplingSettings()
    if NEEDED not in model.landmarks or "skin" not in model.parts:
        raise InputError(
            f"model {model.name!r} has the landmark sets {sorted(model.landmarks)} and the parts "
            f"{sorted(model.parts)}: expected {NEEDED!r} and 'skin', to know where hair and glasses belong."
        )
    mean = model.mean.double().numpy()
    skin = model.parts["skin"].numpy()
    frame = FaceFrame.of(model.landmark_points(model.mean, NEEDED).double().numpy(), mean[skin])
    nothing = np.zeros(len(mean), bool)
    ears = [model.regions[name].numpy() for name in ("ear_left", "ear_right") if name in model.regions]
    bare = np.logical_or.reduce([nothing, *ears])
    hair = HairShell.of(mean, model.topology.faces.numpy(), skin, bare, frame)
    things = [(hair.faces, hair.count), (HANGING_FACES, HANGING_COUNT)]
    things += [(occluders.CLOTHES_FACES, occluders.CLOTHES_COUNT)]
    things += [(occluders.GLASSES_FACES, occluders.GLASSES_COUNT)]
    things += [(occluders.HAND_FACES, occluders.HAND_COUNT), (occluders.THING_FACES, occluders.THING_COUNT)]
    return Studio(
        model=model,
        settings=settings,
        topology=SceneTopology.of(model, things, settings.texture_size),
        hair=hair,
        landmarks=PhotoLandmarks.of(model),
        backdrops=backdrops or Backdrops(),
        spread=expression_spread(model),
    )


def sample(studio: Studio, seed: int, index: int) -> Sample:
    """The photo of a seed and an index: the same bits, whatever else is made before, after or beside it."""
    (made,) = samples(studio, seed, [index])
    return made


def stream(studio: Studio, seed: int, start: int = 0, count: int | None = None) -> Iterator[Sample]:
    """Photos one after the other without files; endless if ``count`` is None.

    Args:
        studio: model and distributions.
        seed: of the run.
        start: index of the first.
        count: how many.
    """
    stop = math.inf if count is None else start + count
    while start < stop:
        block = range(start, int(min(start + BLOCK, stop)))
        yield from samples(studio, seed, block)
        start = block.stop


def samples(studio: Studio, seed: int, indices: Sequence[int]) -> list[Sample]:
    """Photos of some indices.

    Raises:
        InputError: the seed or an index is negative.
    """
    if seed < 0 or any(index < 0 for index in indices):
        raise InputError(f"expected a seed and indices of at least 0, got {seed} and {list(indices)}.")
    model = studio.model
    with torch.inference_mode():
        generators = [np.random.default_rng([seed, index]) for index in indices]
        people = [draw_person(model, studio.settings, studio.spread, rng) for rng in generators]
        identity = torch.cat([person.identity for person in people])
        expression = torch.cat([person.expression for person in people])
        heads = combine(model.mean, (model.identity_basis, identity), (model.expression_basis, expression))
        diffuse = torch.cat([person.diffuse for person in people])
        albedo = combine(model.diffuse_mean, (model.diffuse_basis, diffuse)).clamp(0, 1)
        drawn = zip(indices, generators, people, heads, albedo, strict=True)
        return [
            _photo(studio, (seed, index), rng, person, (vertices, colors))
            for index, rng, person, vertices, colors in drawn
        ]


def _photo(
    studio: Studio,
    key: tuple[int, int],
    rng: np.random.Generator,
    person: Person,
    head: tuple[Float[Tensor, "V 3"], Float[Tensor, "V 3"]],
) -> Sample:
    model, settings = studio.model, studio.settings
    vertices, albedo = head
    points = model.landmark_points(vertices, NEEDED)
    turn = draw_turn(settings.pose, rng)
    pose, camera = draw_view(points, turn, settings, rng)
    light, lamp = draw_light(settings, pose.translation[0], rng)
    things = _things(studio, vertices, albedo, float(turn[0]), rng)
    backdrop = studio.backdrops.draw(settings.size, float(light.coefficients[0, 0].mean()) / 4, rng)
    sensor = draw_sensor(settings.sensor, rng)
    parameters = HeadParameters(
        person.identity,
        person.expression,
        person.diffuse,
        person.specular,
        pose,
        camera,
        light,
        lamp,
    )
    specular = model.specular_albedo(person.specular)[0]
    return photographed(
        key,
        (vertices, albedo, specular),
        parameters,
        (studio.topology, studio.landmarks),
        things,
        backdrop,
        sensor,
    )


def _things(studio: Studio, vertices: Tensor, albedo: Tensor, yaw: float, rng: np.random.Generator) -> Prop:
    """Hair, clothes and what else there is, in the order of the topology."""
    model, often = studio.model, studio.settings.occluders
    points = vertices.double().numpy()
    landmarks = model.landmark_points(vertices, NEEDED).double().numpy()
    skin = points[model.parts["skin"].numpy()]
    frame = FaceFrame.of(landmarks, skin)
    haired, hangs, dressed, glassed, dark, handed, thing = rng.random(7) < [
        often.hair,
        often.long_hair,
        often.clothes,
        often.glasses,
        often.dark_glasses,
        often.hand,
        often.thing,
    ]
    style = draw_hair(rng, long=bool(hangs))
    props: list[Prop] = [absent_prop(studio.hair.count), absent_prop(HANGING_COUNT)]
    if haired:
        normals = vertex_normals(vertices[None], model.topology.faces)[0].double().numpy()
        props[0] = studio.hair.on(points, normals, frame, style, rng)
    if haired and hangs:
        props[1] = hanging_hair(frame, style, rng)
    neck = skin[skin[:, 1] < frame.neck + NECK]
    tone = _face_tone(landmarks, points, albedo.double().numpy())
    turned = -yaw * rng.uniform(0.2, 0.9)
    makers = (
        (dressed, lambda: occluders.clothes(frame, neck, turned, rng), occluders.CLOTHES_COUNT),
        (glassed, lambda: occluders.glasses(frame, rng, dark=bool(dark)), occluders.GLASSES_COUNT),
        (handed, lambda: occluders.hand(frame, tone, rng), occluders.HAND_COUNT),
        (thing, lambda: occluders.round_thing(frame, rng), occluders.THING_COUNT),
    )
    props += [make() if there else absent_prop(count) for there, make, count in makers]
    return joined(props)


def _face_tone(landmarks: ndarray, points: ndarray, albedo: ndarray) -> ndarray:
    """Colour of the skin around the nose."""
    near = np.linalg.norm(points - landmarks[29], axis=1) < 40.0
    return np.median(albedo[near], axis=0)
