"""The hair of a head: a shell over it, found in one photo."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.detection.hair_look import HairLook, look_for_hair
from facewright.detection.segmentation import FaceSegmentation, FaceSegmenter
from facewright.export.asset import AssetHair
from facewright.export.maps import texture_from_linear
from facewright.fitting.hair import fit_hair
from facewright.fitting.hair_pieces import hair_pieces
from facewright.fitting.hair_view import HairView, hair_dome
from facewright.geometry.mesh import Mesh, Topology
from facewright.image.color import lacks_color, linear_from_srgb
from facewright.models.face_model import FaceModel
from facewright.models.hair_cap import HairCap
from facewright.models.hair_mesh import HairShell
from facewright.scene.parameters import HeadParameters
from facewright.uv.hair_texture import HairChart, hair_map, wide_cover
from facewright.uv.unwrap import Illumination, Sight, UnwrapSettings, UvSamples, unwrap

MAP_SIZE = 448  # texels a side, about a millimetre each
SETTINGS = UnwrapSettings(depth_size=360)  # nothing fine hides hair
LEAST_COVER = 0.02  # share of hair at a corner from which on a triangle is drawn and written


@dataclass(frozen=True)
class HeadHair:
    """Hair of one head.

    Attributes:
        shell: over the head.
        colors: map of albedo (linear RGB) and cover in [0, 1], in the shell's texture coordinates.
    """

    shell: HairShell
    colors: Float[Tensor, "S S 4"]

    def asset(self) -> AssetHair:
        """As it is written into files."""
        color, cover = self.colors[..., :3], (self.colors[..., 3:].clamp(0, 1) * 255 + 0.5).to(torch.uint8)
        texture = torch.cat([texture_from_linear(color), cover], dim=-1)
        skin, shell = self.shell.mesh.skin, self.shell
        return AssetHair(skin.to(shell.offset.device), shell.offset, self.topology, texture)

    @property
    def topology(self) -> Topology:
        """The triangles of the shell where hair is."""
        own, cover = self.shell.mesh.topology.to(self.shell.cover.device), self.shell.cover
        there = (cover > LEAST_COVER)[own.faces].any(1)
        return replace(own, faces=own.faces[there], uv_faces=own.uv_faces[there])


@dataclass(frozen=True)
class HairFinder:
    """Finds hair on the heads of one model; make it once."""

    model: FaceModel
    segmenter: FaceSegmenter
    cap: HairCap
    chart: HairChart

    @classmethod
    def of(cls, model: FaceModel, segmenter: FaceSegmenter) -> "HairFinder | None":
        """Get ready for a model; None if nobody said where its hair may grow."""
        cap = HairCap.of(model)
        if cap is None:
            return None
        return cls(model, segmenter, cap, HairChart.of(cap, model.mean, MAP_SIZE))

    def find(
        self, photo: Float[Tensor, "3 H W"], parameters: HeadParameters, first: FaceSegmentation
    ) -> HeadHair | None:
        """Hair of a fitted head; None where the photo shows hardly any.

        Args:
            photo: sRGB.
            parameters: of the head in the photo, B = 1.
            first: segmentation of its face.
        """
        head = self.model.vertices(parameters.identity, parameters.expression)[0]
        pose, camera = parameters.pose, parameters.camera
        surface = self.cap.surface(head)
        look = look_for_hair(self.segmenter, photo, first, hair_dome(self.cap, surface, pose, camera))
        view = HairView.of(self.cap, surface, Mesh(head, self.model.topology), pose, camera, look)
        fitted = fit_hair(view, head)
        if fitted is None:
            return None
        shell, view = fitted
        if not bool((shell.cover > LEAST_COVER).any()):
            return None
        samples = self._unwrapped(photo, parameters, view.look, shell.on(head), head)
        pieces = hair_pieces(self.chart.grain, view, shell, head, photo)
        return HeadHair(shell, hair_map(self.chart, shell, samples, wide_cover(self.cap, shell), pieces))

    def _unwrapped(
        self,
        photo: Float[Tensor, "3 H W"],
        parameters: HeadParameters,
        look: HairLook,
        shell: Float[Tensor, "M 3"],
        head: Float[Tensor, "V 3"],
    ) -> UvSamples:
        """The photo on a shell over a head (mm, head frame), which hides parts of it."""
        own, other = self.cap.mesh.topology.to(head.device), self.model.topology
        bare = torch.zeros_like(other.faces)  # nothing is looked up on the head
        both = Topology(
            torch.cat([own.faces, other.faces + len(shell)]), own.uv, torch.cat([own.uv_faces, bare])
        )
        light = Illumination(parameters.light, parameters.point_light)
        return unwrap(
            self.chart.chart,
            photo,
            parameters.pose.camera_from_head(torch.cat([shell, head])[None])[0],
            both,
            parameters.camera,
            illumination=light,
            settings=SETTINGS,
            sight=Sight(look.hair),
        )


def photo_of_hair(
    fits: Sequence[HeadParameters],
    photos: Sequence[Float[Tensor, "3 _ _"]],
    points: Float[Tensor, "B 478 2"],
) -> int:
    """Which photo of a person the hair is taken from: the most frontal one whose face has colour.

    From the front the outline is seen on both sides. Of grey photos alone it is the most frontal.
    """
    order = torch.stack([fit.pose.away()[0] for fit in fits]).argsort().tolist()
    if len(order) == 1:
        return 0
    for row in order:
        photo = photos[row]
        low, high = (
            points[row].amin(0).floor().long().clamp_min(0).tolist(),
            points[row].amax(0).long().tolist(),
        )
        face = photo[:, low[1] : high[1] + 1, low[0] : high[0] + 1].flatten(1).T
        if not lacks_color(linear_from_srgb(face)):
            return row
    return order[0]
