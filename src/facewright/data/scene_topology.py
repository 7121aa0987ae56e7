"""Head and things as one mesh: what stays the same in all photos of one model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from torch import Tensor

from facewright.data.openings import Openings
from facewright.geometry.adjacency import EdgeTable, edge_table
from facewright.image.strands import strand_texture
from facewright.models.face_model import FaceModel
from facewright.render.fragments import Fragments
from facewright.uv.chart import filled_uv_fragments

LINING = ("inner_mouth",)  # regions of the skin that are no skin to see
INNER_PARTS = ("tongue", "upper_teeth", "lower_teeth", "teeth", "gums_and_tongue", "mouth_socket")
CLEAR_PARTS = ("eye_film",)  # parts of models that are looked through
SKIN, FACE, INNER = 1, 2, 4  # bits of a triangle's label
STRAND_SEED = 20  # of the one texture of strands


@dataclass(frozen=True)
class SceneTopology:
    """Head and things as one mesh: the head's vertices come first.

    Attributes:
        head: triangles of the head that are drawn.
        things: those of the things, whose vertices count from 0.
        faces: both together.
        edges: of all.
        label: bits of each of the head's triangles.
        vertex_count: of the head.
        strands: how light strands of hair are.
        openings: which vertices lie behind lids and lips.
        chart: the texture maps, whose gutter shows the nearest place of the mesh.
        every: all triangles of the model, which the maps show.
    """

    head: Int64[Tensor, "F 3"]
    things: Int64[Tensor, "T 3"]
    faces: Int64[Tensor, "G 3"]
    edges: EdgeTable
    label: Int64[Tensor, " F"]
    vertex_count: int
    strands: Float[Tensor, "1 H W 1"]
    openings: Openings
    chart: Fragments
    every: Int64[Tensor, "M 3"]

    @classmethod
    def of(
        cls, model: FaceModel, meshes: Sequence[tuple[ndarray, int]], texture_size: int
    ) -> "SceneTopology":
        """Join a model with things of known triangles and numbers of vertices.

        Raises:
            InputError: it is not a size of a texture map.
        """
        faces, count = model.topology.faces, len(model.mean)
        nothing = torch.zeros(count, dtype=torch.bool)
        clear = _any(model.parts, CLEAR_PARTS, nothing)
        head = faces[~clear[faces].any(1)]
        inner = _any(model.parts, INNER_PARTS, nothing) | _any(model.regions, LINING, nothing)
        sockets = _any(model.regions, ("eye_sockets",), nothing)
        skin = model.parts["skin"] & ~inner & ~sockets
        face = _face_region(model) & skin
        label = sum(
            bit * mask[head].all(1).long() for bit, mask in ((SKIN, skin), (FACE, face), (INNER, inner))
        )
        triangles, start = [], 0
        for mesh, number in meshes:
            triangles.append(torch.from_numpy(mesh) + start)
            start += number
        things = torch.cat(triangles)
        together = torch.cat([head, things + count])
        strands = torch.from_numpy(strand_texture(np.random.default_rng(STRAND_SEED)))[None]
        return cls(
            head=head,
            things=things,
            faces=together,
            edges=edge_table(together),
            label=torch.as_tensor(label),
            vertex_count=count,
            strands=strands,
            openings=Openings.of(model, inner),
            chart=filled_uv_fragments(model.topology, texture_size),
            every=faces,
        )


def _any(
    masks: Mapping[str, Bool[Tensor, " V"]], names: Sequence[str], nothing: Bool[Tensor, " V"]
) -> Bool[Tensor, " V"]:
    return torch.stack([nothing, *(masks[name] for name in names if name in masks)]).any(0)


def _face_region(model: FaceModel) -> Bool[Tensor, " V"]:
    """The model's own region, or the front of the skin inside of the outline of the 68 points."""
    if "face" in model.regions:
        return model.regions["face"]
    points = model.landmark_points(model.mean, "ibug68")
    x, y, z = model.mean.unbind(1)
    brow, chin = points[17:27, 1].mean(), points[8, 1]
    before = z > points[[0, 16], 2].mean() - 5
    wide = x.abs() < points[:17, 0].abs().max() + 3
    return before & wide & (y < brow + 0.25 * (brow - chin)) & (y > chin - 8)
