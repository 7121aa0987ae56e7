"""What is known of synthetic photos: everything, since they were made."""

from dataclasses import dataclass, fields, replace
from functools import cached_property

from jaxtyping import Bool, Float
from torch import Tensor

from facewright.core.tensor_records import map_tensors
from facewright.data.sensor import SensorDraw, read_photograph
from facewright.scene.parameters import HeadParameters


@dataclass(frozen=True)
class SampleMasks:
    """Which pixels show what, at pixel centres.

    Attributes:
        head: the head itself, also where something hides it.
        skin: skin of head and neck that is seen, lips included; not eyes, lining of the mouth, teeth.
        face: the seen part of the skin of the face.
        inner_mouth: seen teeth, tongue and lining of the mouth.
        occluder: what is not the head (hair, glasses, a hand, clothes), whether or not it hides the head.
    """

    head: Bool[Tensor, "*B H W"]
    skin: Bool[Tensor, "*B H W"]
    face: Bool[Tensor, "*B H W"]
    inner_mouth: Bool[Tensor, "*B H W"]
    occluder: Bool[Tensor, "*B H W"]


@dataclass(frozen=True)
class Truth:
    """What is known of one photo, or of each of a batch (B).

    Attributes:
        diffuse: diffuse light from the head, linear, as if nothing hid it; 0 beside it.
        specular: highlights, likewise.
        depth: mm along the camera's +Z of the head, as if nothing hid it; 0 beside it.
        normals: unit, camera frame, of the head, likewise.
        masks: which pixels show what.
        visible: vertices that the camera sees; other parts of the head and occluders hide.
        landmarks68: iBUG's points, pixels; contour points lie on the outline that this view has.
        landmarks478: the dense points, likewise; no rows if the model has none.
        landmarks68_seen: which of them the camera sees.
        landmarks478_seen: likewise.
        vertices: mm, head frame, with identity and expression.
        albedo_map: diffuse albedo, linear, row 0 is v = 1.
        specular_map: specular intensity.
    """

    diffuse: Float[Tensor, "*B H W 3"]
    specular: Float[Tensor, "*B H W 3"]
    depth: Float[Tensor, "*B H W"]
    normals: Float[Tensor, "*B H W 3"]
    masks: SampleMasks
    visible: Bool[Tensor, "*B V"]
    landmarks68: Float[Tensor, "*B 68 2"]
    landmarks478: Float[Tensor, "*B L 2"]
    landmarks68_seen: Bool[Tensor, "*B 68"]
    landmarks478_seen: Bool[Tensor, "*B L"]
    vertices: Float[Tensor, "*B V 3"]
    albedo_map: Float[Tensor, "*B S S 3"]
    specular_map: Float[Tensor, "*B S S 1"]


@dataclass(frozen=True)
class Sample(Truth):
    """A synthetic photo of one head.

    Attributes:
        seed: of the run.
        index: of the sample in the run; with the seed it makes the same sample alone or among others.
        image_file: what the camera wrote, the bytes of a JPEG file.
        parameters: coefficients, pose, camera, light and point light, each with one row; linear light before
            the sensor.
        sensor: what the camera did.
    """

    seed: int
    index: int
    image_file: bytes
    parameters: HeadParameters
    sensor: SensorDraw

    @cached_property
    def image(self) -> Float[Tensor, "3 H W"]:
        """What the camera wrote, sRGB in [0, 1]; decoded when it is first asked for."""
        return read_photograph(self.image_file).to(self.depth.device)


@dataclass(frozen=True)
class SampleBatch(Truth):
    """Synthetic photos that were made together.

    Attributes:
        seed: of the run.
        indices: of the samples in the run.
        image_files: what the cameras wrote, the bytes of JPEG files.
        parameters: a row each; a point light of no intensity is none.
        sensors: what the cameras did.
    """

    seed: int
    indices: tuple[int, ...]
    image_files: tuple[bytes, ...]
    parameters: HeadParameters
    sensors: tuple[SensorDraw, ...]

    def samples(self) -> list[Sample]:
        """Each photo as a record of its own; its tensors are rows of these."""
        lamp = self.parameters.point_light
        lit = [False] * len(self.indices) if lamp is None else (lamp.intensity > 0).any(1).tolist()
        return [self._sample(row, lit=is_lit) for row, is_lit in enumerate(lit)]

    def _sample(self, row: int, *, lit: bool) -> Sample:
        known = {f.name: map_tensors(lambda t: t[row], getattr(self, f.name)) for f in fields(Truth)}
        parameters = map_tensors(lambda t: t[row : row + 1], self.parameters)
        return Sample(
            **known,
            seed=self.seed,
            index=self.indices[row],
            image_file=self.image_files[row],
            parameters=parameters if lit else replace(parameters, point_light=None),
            sensor=self.sensors[row],
        )
