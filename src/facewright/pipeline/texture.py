"""The albedo map of one person from one or more photos."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.image.io import Photograph
from facewright.models.face_model import FaceModel
from facewright.scene.parameters import HeadParameters
from facewright.uv.bake import bake
from facewright.uv.chart import UvChart
from facewright.uv.complete import complete
from facewright.uv.unwrap import Illumination, UvSamples, blend_samples, unwrap


@dataclass(frozen=True)
class HeadTexture:
    """What unwrapping needs of a model, made once.

    Attributes:
        chart: the model's chart at the size of the map.
        skin: 1 where the map shows skin, which photos may colour; 0 at eyes, teeth and inside the mouth.
    """

    chart: UvChart
    skin: Float[Tensor, "S S 1"]

    @classmethod
    def of(cls, model: FaceModel, size: int) -> "HeadTexture":
        """Rasterise the model's chart.

        Raises:
            InputError: the size is out of range.
        """
        chart = UvChart.of(model.topology, size)
        skin = model.parts["skin"].clone() if "skin" in model.parts else torch.ones_like(model.mirror > 0)
        if "inner_mouth" in model.regions:
            skin &= ~model.regions["inner_mouth"]
        return cls(chart, bake(chart, skin.to(model.mean.dtype)[:, None]))

    def albedo(
        self,
        model: FaceModel,
        photos: Sequence[Photograph],
        heads: Sequence[HeadParameters],
        *,
        lit: bool,
    ) -> Float[Tensor, "S S 3"]:
        """Unwrap the photos, blend them, and complete what none of them shows; linear RGB.

        Args:
            model: the model of the chart.
            photos: of one person.
            heads: for each photo, with B = 1; they share identity and albedo.
            lit: the heads' light was fitted, so that it can be divided out.
        """
        samples = [self._seen(model, photo, head, lit) for photo, head in zip(photos, heads, strict=True)]
        model_map = bake(self.chart, model.diffuse_albedo(heads[0].diffuse)[0])
        return complete(self.chart, blend_samples(samples), model_map, self.skin)

    def _seen(self, model: FaceModel, photo: Photograph, head: HeadParameters, lit: bool) -> UvSamples:
        vertices = head.pose.camera_from_head(model.vertices(head.identity, head.expression))[0]
        light = None
        if lit:
            light = Illumination(head.light, head.point_light, model.specular_albedo(head.specular)[0])
        return unwrap(self.chart, photo.pixels, vertices, model.topology, head.camera, illumination=light)
