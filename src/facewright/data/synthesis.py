"""Synthetic photos: the sample of a seed and an index, alone or in a stream, always the same."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from facewright.core.errors import InputError
from facewright.core.tensor_records import joined_rows, on_device
from facewright.data.backdrops import Backdrops
from facewright.data.face_frame import FaceFrame
from facewright.data.hair import HairShell
from facewright.data.photo_landmarks import PhotoLandmarks
from facewright.data.records import Sample, SampleBatch
from facewright.data.rendering import Heads, photographed
from facewright.data.sampling import Person, SamplingSettings, expression_spread, placed_view
from facewright.data.scene_topology import SceneTopology
from facewright.data.shots import Shot, draw_shot
from facewright.data.things import LOW, Skin, things_on
from facewright.geometry.normals import vertex_normals
from facewright.models.combination import combine
from facewright.models.face_model import FaceModel
from facewright.scene.lighting import PointLight
from facewright.scene.parameters import HeadParameters

BLOCK = 8  # photos of a stream that are made together on the CPU
DEVICE_BLOCK = 64  # and on a device
NEEDED = "ibug68"


@dataclass(frozen=True)
class Studio:
    """What all photos of one model share; make it once with ``open_studio``.

    Attributes:
        model: the head; photos are made on its device.
        drawn: the same on the CPU, which numbers are drawn for.
        settings: the distributions.
        topology: head and things as one mesh.
        skin: where things are on the head.
        landmarks: of the model, on the outline where they belong there.
        backdrops: what is behind heads.
        spread: of the model's expressions.
    """

    model: FaceModel
    drawn: FaceModel
    settings: SamplingSettings
    topology: SceneTopology
    skin: Skin
    landmarks: PhotoLandmarks
    backdrops: Backdrops
    spread: Float[ndarray, "E E"]

    @property
    def device(self) -> torch.device:
        """Where photos are made."""
        return self.model.device

    @property
    def block(self) -> int:
        """How many photos are best made together."""
        return BLOCK if self.device.type == "cpu" else DEVICE_BLOCK

    def to(self, device: torch.device | str) -> "Studio":
        """The same studio on another device."""
        moved = (self.model, self.topology, self.skin, self.landmarks)
        model, topology, skin, landmarks = (on_device(part, device) for part in moved)
        return replace(self, model=model, topology=topology, skin=skin, landmarks=landmarks)


def open_studio(
    model: FaceModel, settings: SamplingSettings | None = None, backdrops: Backdrops | None = None
) -> Studio:
    """Prepare to photograph heads of a model, on its device.

    Raises:
        InputError: the model has not the 68 points of iBUG or no part named "skin".
    """
    settings = settings or SamplingSettings()
    if NEEDED not in model.landmarks or "skin" not in model.parts:
        raise InputError(
            f"model {model.name!r} has the landmark sets {sorted(model.landmarks)} and the parts "
            f"{sorted(model.parts)}: expected {NEEDED!r} and 'skin', to know where hair and glasses belong."
        )
    here = model.to("cpu")
    skin = _skin(here)
    studio = Studio(
        model=here,
        drawn=here,
        settings=settings,
        topology=SceneTopology.of(here, skin.meshes(), settings.texture_size),
        skin=skin,
        landmarks=PhotoLandmarks.of(here),
        backdrops=backdrops or Backdrops(),
        spread=expression_spread(here),
    )
    return studio if model.device.type == "cpu" else studio.to(model.device)


def _skin(model: FaceModel) -> Skin:
    """Places of things on a model on the CPU."""
    skin = model.parts["skin"]
    landmarks = model.landmark_points(model.mean, NEEDED)
    frame = FaceFrame.of(landmarks[None], model.mean[None, skin])
    ears = [model.regions[name] for name in ("ear_left", "ear_right") if name in model.regions]
    bare = torch.stack([torch.zeros_like(skin), *ears]).any(0)
    shell = HairShell.of(model.mean, model.topology.faces, skin, bare, frame)
    low = skin & (model.mean[:, 1] < frame.neck + LOW)
    return Skin(torch.nonzero(skin)[:, 0], torch.nonzero(low)[:, 0], shell)


def sample(studio: Studio, seed: int, index: int) -> Sample:
    """The photo of a seed and an index: the same bits, whatever else is made before, after or beside it.

    On a device other than the CPU the same but for rounding.
    """
    (made,) = samples(studio, seed, [index])
    return made


def stream(
    studio: Studio, seed: int, start: int = 0, count: int | None = None, batch: int | None = None
) -> Iterator[Sample]:
    """Photos one after the other without files; endless if ``count`` is None.

    Args:
        studio: model and distributions; photos are made, and stay, on its device.
        seed: of the run.
        start: index of the first.
        count: how many.
        batch: how many are made together; what suits the device if None.
    """
    stop = math.inf if count is None else start + count
    while start < stop:
        block = range(start, int(min(start + (batch or studio.block), stop)))
        yield from samples(studio, seed, block)
        start = block.stop


def samples(studio: Studio, seed: int, indices: Sequence[int]) -> list[Sample]:
    """Photos of some indices.

    Raises:
        InputError: the seed or an index is negative.
    """
    return [photo for batch in sample_batches(studio, seed, indices) for photo in batch.samples()]


def sample_batches(studio: Studio, seed: int, indices: Sequence[int]) -> Iterator[SampleBatch]:
    """Photos of some indices: on a device all as one batch, on the CPU in batches of one.

    A batch of one does not depend on what else is made, to the bit, and its buffers stay in the cache.

    Raises:
        InputError: the seed or an index is negative.
    """
    if seed < 0 or any(index < 0 for index in indices):
        raise InputError(f"expected a seed and indices of at least 0, got {seed} and {list(indices)}.")
    if not indices:
        return
    with torch.no_grad():
        shots = [_shot(studio, seed, index) for index in indices]
        people = joined_rows([shot.scene.person for shot in shots])
        vertices, albedo = _combined(studio.model, people)
        if studio.device.type != "cpu":
            yield _photographed(studio, (seed, indices), shots, vertices, albedo)
            return
        for row, shot in enumerate(shots):
            one = slice(row, row + 1)
            with torch.no_grad():  # what took the sample may have set it otherwise
                made = _photographed(studio, (seed, indices[one]), [shot], vertices[one], albedo[one])
            yield made


def photos_of_one(studio: Studio, seed: int, indices: Sequence[int]) -> list[Sample]:
    """Photos of the person of the first index, in the expressions, views and light of all.

    Raises:
        InputError: there are none, or the seed or an index is negative.
    """
    if not indices or seed < 0 or min(indices) < 0:
        raise InputError(f"expected a seed and indices of at least 0, got {seed} and {list(indices)}.")
    shots = [_shot(studio, seed, index) for index in indices]
    first, found = shots[0].scene.person, []
    with torch.no_grad():
        for index, shot in zip(indices, shots, strict=True):
            person = replace(first, expression=shot.scene.person.expression)
            own = replace(shot, scene=replace(shot.scene, person=person))
            shape, albedo = _combined(studio.model, person)
            found += _photographed(studio, (seed, [index]), [own], shape, albedo).samples()
    return found


def _shot(studio: Studio, seed: int, index: int) -> Shot:
    places = studio.skin.shell.count, studio.backdrops
    return draw_shot(
        studio.drawn, studio.spread, studio.settings, places, np.random.default_rng([seed, index])
    )


def _combined(model: FaceModel, people: Person) -> tuple[Tensor, Tensor]:
    """Vertices (mm) and albedo; on the CPU to the same bits in any batch."""
    if model.device.type != "cpu":
        there = on_device(people, model.device)
        return model.vertices(there.identity, there.expression), model.diffuse_albedo(there.diffuse)
    shape = (model.identity_basis, people.identity), (model.expression_basis, people.expression)
    albedo = combine(model.diffuse_mean, (model.diffuse_basis, people.diffuse))
    return combine(model.mean, *shape), albedo.clamp(0, 1)


def _photographed(
    studio: Studio, key: tuple[int, Sequence[int]], shots: Sequence[Shot], vertices: Tensor, albedo: Tensor
) -> SampleBatch:
    model, drawn = studio.model, joined_rows([shot.scene for shot in shots])
    wanted = drawn.things.shown.any(0).tolist()  # here, as a device would have to be waited for
    scene = drawn if studio.device.type == "cpu" else on_device(drawn, studio.device)
    landmarks = model.landmark_points(vertices, NEEDED)
    pose, camera = placed_view(landmarks, scene.rotation, scene.view, studio.settings.size)
    person = scene.person
    lamp = PointLight(pose.translation + scene.lamp.offset, scene.lamp.intensity)
    parameters = HeadParameters(
        person.identity,
        person.expression,
        person.diffuse,
        person.specular,
        pose,
        camera,
        scene.light,
        lamp,
        person.shininess,
    )
    normals = vertex_normals(vertices, model.topology.faces)
    things = things_on(studio.skin, scene.things, wanted, (vertices, normals, albedo), landmarks)
    light = studio.topology.openings.light(landmarks)
    specular = model.specular_albedo(person.specular)
    heads = Heads(vertices, normals, albedo, specular, light, person.shininess)
    return photographed(key, heads, things, parameters, (studio.topology, studio.landmarks), shots)
