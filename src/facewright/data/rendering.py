"""One photo: head and things as one mesh, drawn, masked, laid over a backdrop and through a sensor."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from torch import Tensor

from facewright.data.hair import STRANDS, strand_texture
from facewright.data.photo_landmarks import PhotoLandmarks
from facewright.data.props import Prop
from facewright.data.records import Sample, SampleMasks
from facewright.data.sensor import SensorDraw, photograph, read_photograph
from facewright.geometry.adjacency import EdgeTable, edge_table
from facewright.geometry.normals import vertex_normals
from facewright.models.face_model import FaceModel
from facewright.render.antialias import antialias
from facewright.render.fragments import Fragments
from facewright.render.interpolate import interpolate
from facewright.render.rasterize import rasterize
from facewright.render.shading import shade_diffuse, shade_point_diffuse, shade_specular, unit
from facewright.render.texture import texture
from facewright.render.visibility import vertex_visibility
from facewright.scene.material import SKIN_SHININESS
from facewright.scene.parameters import HeadParameters
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
        faces: these, then those of the things.
        edges: of all.
        head_edges: of the head.
        label: bits of each of the head's triangles.
        vertex_count: of the head.
        strands: how light strands of hair are.
        chart: the texture maps, whose gutter shows the nearest place of the mesh.
        every: all triangles of the model, which the maps show.
    """

    head: Int64[Tensor, "F 3"]
    faces: Int64[Tensor, "G 3"]
    edges: EdgeTable
    label: Int64[Tensor, " F"]
    vertex_count: int
    strands: Float[Tensor, "1 H W 1"]
    chart: Fragments
    every: Int64[Tensor, "M 3"]

    @classmethod
    def of(
        cls, model: FaceModel, things: Sequence[tuple[ndarray, int]], texture_size: int
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
        joined, start = [head], count
        for triangles, number in things:
            joined.append(torch.from_numpy(triangles) + start)
            start += number
        together = torch.cat(joined)
        strands = torch.from_numpy(strand_texture(np.random.default_rng(STRAND_SEED)))[None]
        chart = filled_uv_fragments(model.topology, texture_size)
        edges = edge_table(together)
        return cls(head, together, edges, torch.as_tensor(label), count, strands, chart, faces)


def _any(masks, names: Sequence[str], nothing: Tensor) -> Tensor:  # noqa: ANN001  a mapping of masks
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


def photographed(
    key: tuple[int, int],
    head: tuple[Float[Tensor, "V 3"], Float[Tensor, "V 3"], Float[Tensor, " V"]],
    parameters: HeadParameters,
    shared: tuple[SceneTopology, PhotoLandmarks],
    things: Prop,
    backdrop: Float[Tensor, "3 H W"],
    sensor: SensorDraw,
) -> Sample:
    """Draw one photo and all that is known of it.

    Args:
        key: seed and index.
        head: vertices (mm, head frame), albedo and specular intensity.
        parameters: with one row each.
        shared: topology and landmarks.
        things: in the order of the topology.
        backdrop: linear.
        sensor: the camera's.
    """
    topology, landmarks = shared
    vertices, albedo, specular = head
    scene = _Scene.of(topology, head, things, parameters)
    whole, alone = _rasterised(scene, topology.faces), _rasterised(scene, topology.head)
    light = _Light.on(whole, alone, len(topology.head), topology.strands, parameters)
    colors = torch.cat([light.seen, whole.fragments.covered[0, ..., None].float()], -1)
    smooth = antialias(colors[None], whole.fragments, scene.pixels, topology.faces, edges=topology.edges)[0]
    linear = smooth[..., :3].permute(2, 0, 1) + (1 - smooth[..., 3]) * backdrop
    file = photograph(linear, sensor)
    visible = vertex_visibility(whole.fragments, scene.pixels, topology.faces)[0, : topology.vertex_count]
    view = (vertices, parameters.pose, parameters.camera, visible)
    sparse, sparse_seen = landmarks.seen("ibug68", *view)
    dense, dense_seen = landmarks.seen("dense478", *view)
    on_vertices = torch.cat([albedo, specular[:, None]], dim=1)[None]
    maps = interpolate(topology.chart, topology.every, on_vertices)[0]
    return Sample(
        seed=key[0],
        index=key[1],
        image=read_photograph(file),
        image_file=file,
        diffuse=light.diffuse,
        specular=light.specular,
        depth=alone.fragments.depth[0],
        normals=light.normals,
        masks=_masks(topology, alone.fragments, whole.fragments),
        visible=visible,
        landmarks68=sparse,
        landmarks478=dense,
        landmarks68_seen=sparse_seen,
        landmarks478_seen=dense_seen,
        vertices=vertices,
        albedo_map=maps[..., :3].contiguous(),
        specular_map=maps[..., 3:].contiguous(),
        parameters=parameters,
        sensor=sensor,
    )


@dataclass(frozen=True)
class _Scene:
    """All vertices on the image, with normal, point (camera frame), albedo, specular intensity and strand."""

    pixels: Float[Tensor, "1 N 3"]
    attributes: Float[Tensor, "1 N 12"]
    size: tuple[int, int]

    @classmethod
    def of(
        cls, topology: SceneTopology, head: tuple[Tensor, Tensor, Tensor], things: Prop, at: HeadParameters
    ) -> "_Scene":
        vertices, albedo, specular = head
        placed = torch.from_numpy(things.vertices.astype(np.float32))
        points = at.pose.camera_from_head(torch.cat([vertices, placed])[None])
        # What is absent lies behind the camera, where nothing is drawn.
        points = torch.where(points.isfinite().all(-1, keepdim=True), points, -1.0)
        attributes = points.new_empty(1, points.shape[1], 12)
        attributes[..., :3] = vertex_normals(points, topology.faces)
        attributes[..., 3:6] = points
        count = topology.vertex_count
        attributes[0, :count, 6:9], attributes[0, :count, 9] = albedo, specular
        attributes[0, :count, 10:] = -1.0
        of_things = np.concatenate([things.albedo, things.specular[:, None], things.strand], axis=1)
        attributes[0, count:, 6:] = torch.from_numpy(of_things.astype(np.float32))
        return cls(at.camera.project(points), attributes, at.camera.size)


@dataclass(frozen=True)
class _Surface:
    """What lies at each pixel: normal, point, albedo, specular intensity, place on a strand."""

    fragments: Fragments
    values: Float[Tensor, "H W 12"]


def _rasterised(scene: _Scene, faces: Tensor) -> _Surface:
    fragments = rasterize(scene.pixels, faces, scene.size, perspective=True)
    return _Surface(fragments, interpolate(fragments, faces, scene.attributes)[0])


@dataclass(frozen=True)
class _Light:
    """Light of each pixel, linear: all that is seen, and of the head alone its parts and normals."""

    seen: Float[Tensor, "H W 3"]
    diffuse: Float[Tensor, "H W 3"]
    specular: Float[Tensor, "H W 3"]
    normals: Float[Tensor, "H W 3"]

    @classmethod
    def on(
        cls, whole: _Surface, alone: _Surface, head_count: int, strands: Tensor, at_light: HeadParameters
    ) -> "_Light":
        """Shade each surface once: where the head is seen, it is the same in both."""
        there = alone.fragments.covered[0]
        hidden = there & (whole.fragments.triangle[0] >= head_count)
        seen, behind = (torch.nonzero(mask.flatten())[:, 0] for mask in (whole.fragments.covered[0], hidden))
        rows = [surface.values.flatten(0, 1)[at] for surface, at in ((whole, seen), (alone, behind))]
        shaded = _shaded(torch.cat(rows)[None], strands, at_light)
        pixels = shaded.new_zeros(there.numel(), 9)
        pixels[seen] = shaded[: len(seen)]
        light = (pixels[:, :3] + pixels[:, 3:6]).unflatten(0, there.shape)
        pixels[behind] = shaded[len(seen) :]
        own = (pixels * there.flatten()[:, None]).unflatten(0, there.shape).split(3, dim=-1)
        return cls(light, own[0].contiguous(), own[1].contiguous(), own[2].contiguous())


def _shaded(values: Float[Tensor, "1 N 12"], strands: Tensor, at: HeadParameters) -> Float[Tensor, "N 9"]:
    """Diffuse light, highlights and normals of some places."""
    normals, points, albedo, specular, strand = values.split([3, 3, 3, 1, 2], dim=-1)
    # Things are thin: seen from behind, they are lit like their front.
    away = (normals * points).sum(-1, keepdim=True) > 0
    normals = unit(torch.where(away, -normals, normals))
    light = _strand_light(strand, strands)
    albedo, specular = albedo * light, specular * light.clamp_max(2)
    diffuse, gloss = shade_diffuse(albedo, normals, at.light), torch.zeros_like(albedo)
    if at.point_light is not None:
        diffuse = diffuse + shade_point_diffuse(albedo, normals, points, at.point_light)
        gloss = shade_specular(specular, normals, points, at.point_light, SKIN_SHININESS)
    return torch.cat([diffuse, gloss, normals], dim=-1)[0]


def _strand_light(strand: Float[Tensor, "1 N 2"], strands: Float[Tensor, "1 Y X 1"]) -> Tensor:
    """How light the strand of each pixel is; 1 where there is no hair."""
    rows, columns = STRANDS
    hair = strand[0, :, 0] >= 0
    light = torch.ones(1, len(hair), 1)
    pixel = strand[:, hair].clamp(0, 1) * torch.tensor([columns - 1.0, rows - 1.0]) + 0.5
    uv = pixel / torch.tensor([float(columns), float(rows)])
    light[:, hair] = texture(uv[:, None], strands)[:, 0]
    return light


def _masks(topology: SceneTopology, alone: Fragments, whole: Fragments) -> SampleMasks:
    triangle = whole.triangle[0].long()
    count = len(topology.head)
    own = (triangle >= 0) & (triangle < count)
    label = torch.where(own, topology.label[triangle.clamp(0, count - 1)], 0)
    return SampleMasks(
        head=alone.covered[0],
        skin=label & SKIN > 0,
        face=label & FACE > 0,
        inner_mouth=label & INNER > 0,
        occluder=triangle >= count,
    )
