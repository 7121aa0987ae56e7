"""What is known of one synthetic photo: everything, since it was made."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from facewright.data.sensor import SensorDraw
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

    head: Bool[Tensor, "H W"]
    skin: Bool[Tensor, "H W"]
    face: Bool[Tensor, "H W"]
    inner_mouth: Bool[Tensor, "H W"]
    occluder: Bool[Tensor, "H W"]


@dataclass(frozen=True)
class Sample:
    """A synthetic photo of one head.

    Attributes:
        seed: of the run.
        index: of the sample in the run; with the seed it makes the same sample alone or among others.
        image: what the camera wrote, sRGB in [0, 1].
        image_file: the same as the bytes of a JPEG file.
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
        parameters: coefficients, pose, camera, light and point light, each with one row; linear light before
            the sensor.
        sensor: what the camera did.
    """

    seed: int
    index: int
    image: Float[Tensor, "3 H W"]
    image_file: bytes
    diffuse: Float[Tensor, "H W 3"]
    specular: Float[Tensor, "H W 3"]
    depth: Float[Tensor, "H W"]
    normals: Float[Tensor, "H W 3"]
    masks: SampleMasks
    visible: Bool[Tensor, " V"]
    landmarks68: Float[Tensor, "68 2"]
    landmarks478: Float[Tensor, "L 2"]
    landmarks68_seen: Bool[Tensor, " 68"]
    landmarks478_seen: Bool[Tensor, " L"]
    vertices: Float[Tensor, "V 3"]
    albedo_map: Float[Tensor, "S S 3"]
    specular_map: Float[Tensor, "S S 1"]
    parameters: HeadParameters
    sensor: SensorDraw
