"""Photos: head and things drawn, masked, laid over backdrops and through sensors; a batch at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from facewright.core.threads import run_tasks
from facewright.data.backdrops import backdrop_pictures
from facewright.data.photo_landmarks import PhotoLandmarks
from facewright.data.props import Prop
from facewright.data.records import SampleBatch, SampleMasks
from facewright.data.scene_topology import FACE, INNER, SKIN, SceneTopology
from facewright.data.sensor import SensorDraw, developed, jpeg_file
from facewright.data.shots import Shot
from facewright.data.surface_light import surface_light
from facewright.geometry.normals import vertex_normals
from facewright.render.antialias import antialias
from facewright.render.fragments import Fragments
from facewright.render.interpolate import interpolate
from facewright.render.rasterize import rasterize
from facewright.render.visibility import vertex_visibility
from facewright.scene.lighting import PointLight
from facewright.scene.material import SKIN_SHININESS
from facewright.scene.parameters import HeadParameters

BEHIND = -1.0  # mm along the camera's +Z, where nothing is drawn: the place of what is absent


@dataclass(frozen=True)
class Heads:
    """Heads without a view.

    Attributes:
        vertices: mm, head frame.
        normals: unit, head frame.
        albedo: diffuse, linear.
        specular: specular intensity.
        light: share of the light that reaches each vertex.
        shininess: Blinn-Phong exponent of the skin.
    """

    vertices: Float[Tensor, "B V 3"]
    normals: Float[Tensor, "B V 3"]
    albedo: Float[Tensor, "B V 3"]
    specular: Float[Tensor, "B V"]
    light: Float[Tensor, "B V"]
    shininess: Float[Tensor, " B"]


def photographed(
    key: tuple[int, Sequence[int]],
    heads: Heads,
    things: Prop,
    parameters: HeadParameters,
    shared: tuple[SceneTopology, PhotoLandmarks],
    shots: Sequence[Shot],
) -> SampleBatch:
    """Draw photos and all that is known of them, where the heads are.

    Args:
        key: seed and indices.
        heads: of the photos.
        things: on them, in the order of the topology.
        parameters: with a row each, and a point light.
        shared: topology and landmarks.
        shots: backdrops and sensors.
    """
    topology, landmarks = shared
    view = _View.of(topology, heads, things, parameters)
    linear = _over_backdrop(topology, view, parameters, shots)
    sensors = [shot.sensor for shot in shots]
    pixels = developed(linear, sensors).cpu()
    visible = vertex_visibility(view.whole, view.pixels, topology.faces)[:, : topology.vertex_count]
    where = heads.vertices, parameters.pose, parameters.camera, visible
    sparse, sparse_seen = landmarks.seen("ibug68", *where)
    dense, dense_seen = landmarks.seen("dense478", *where)
    maps = _maps(topology, heads)
    own = view.of_head
    return SampleBatch(
        seed=key[0],
        indices=tuple(key[1]),
        image_files=_files(pixels, sensors),
        diffuse=own[..., :3],
        specular=own[..., 3:6],
        depth=view.head.depth,
        normals=own[..., 6:],
        masks=_masks(topology, view),
        visible=visible,
        landmarks68=sparse,
        landmarks478=dense,
        landmarks68_seen=sparse_seen,
        landmarks478_seen=dense_seen,
        vertices=heads.vertices,
        albedo_map=maps[..., :3],
        specular_map=maps[..., 3:],
        parameters=parameters,
        sensors=tuple(sensors),
    )


@dataclass(frozen=True)
class _View:
    """Heads and things on the image: drawn apart, as the head is also known where it is hidden.

    Attributes:
        pixels: all vertices.
        head: the head alone.
        whole: what is seen; triangles of ``SceneTopology.faces``.
        of_head: ``surface_light`` of the head alone.
        of_things: that of things, where they are seen.
    """

    pixels: Float[Tensor, "B N 3"]
    head: Fragments
    whole: Fragments
    of_head: Float[Tensor, "B H W 9"]
    of_things: Float[Tensor, "B H W 9"]

    @classmethod
    def of(cls, topology: SceneTopology, heads: Heads, things: Prop, at: HeadParameters) -> "_View":
        count, size = topology.vertex_count, at.camera.size
        points = at.pose.camera_from_head(torch.cat([heads.vertices, things.vertices], 1))
        normals = torch.cat([heads.normals, vertex_normals(things.vertices, topology.things)], 1)
        normals = normals @ at.pose.rotation.mT
        pixels = at.camera.project(points)
        absent = torch.zeros_like(pixels[..., 0], dtype=torch.bool)
        absent[:, count:] = ~things.there
        pixels = torch.where(absent[..., None], BEHIND, pixels)
        light = at.light, _lamp(at)
        head = rasterize(pixels[:, :count], topology.head, size, perspective=True)
        lit = torch.cat([heads.albedo, heads.specular[..., None]], -1) * heads.light[..., None]
        shininess = topology.openings.shininess(heads.shininess)[..., None]
        parts = [normals[:, :count], points[:, :count], lit, shininess]
        of_head = surface_light(head, topology.head, torch.cat(parts, -1), light, topology.strands)
        before = rasterize(pixels[:, count:], topology.things, size, perspective=True)
        nearer = before.covered & (~head.covered | (before.depth < head.depth))
        before = _where(nearer, before)
        specular = things.specular[..., None]
        parts = [normals[:, count:], points[:, count:], things.albedo, specular]
        values = torch.cat([*parts, torch.full_like(specular, SKIN_SHININESS), things.strand], -1)
        of_things = surface_light(before, topology.things, values, light, topology.strands)
        whole = _laid_over(head, before, nearer, len(topology.head))
        return cls(pixels, head, whole, of_head, of_things)


def _lamp(at: HeadParameters) -> PointLight:
    if at.point_light is None:
        raise TypeError("photos that are made together have a lamp each, if only one of no intensity.")
    return at.point_light


def _where(kept: Bool[Tensor, "B H W"], drawn: Fragments) -> Fragments:
    return Fragments(
        torch.where(kept, drawn.triangle, -1),
        drawn.barycentric * kept[..., None],
        drawn.depth * kept,
        drawn.perspective,
        drawn.cull_back_faces,
    )


def _laid_over(back: Fragments, front: Fragments, nearer: Bool[Tensor, "B H W"], start: int) -> Fragments:
    """Two drawings as one; triangles of the front count from ``start``."""
    return Fragments(
        torch.where(nearer, front.triangle + start, back.triangle),
        torch.where(nearer[..., None], front.barycentric, back.barycentric),
        torch.where(nearer, front.depth, back.depth),
        back.perspective,
        back.cull_back_faces,
    )


def _over_backdrop(
    topology: SceneTopology, view: _View, at: HeadParameters, shots: Sequence[Shot]
) -> Float[Tensor, "B 3 H W"]:
    """The light that reaches the camera, linear."""
    hidden = (view.whole.triangle >= len(topology.head))[..., None]
    seen = torch.where(hidden, view.of_things, view.of_head)
    light = seen[..., :3] + seen[..., 3:6]
    colors = torch.cat([light, view.whole.covered[..., None].to(light.dtype)], -1)
    smooth = antialias(colors, view.whole, view.pixels, topology.faces, edges=topology.edges)
    smooth = smooth.movedim(-1, 1)
    level = at.light.coefficients[:, 0].mean(-1) / 4
    backdrops = backdrop_pictures([shot.backdrop for shot in shots], at.camera.size[0], level)
    return smooth[:, :3] + (1 - smooth[:, 3:]) * backdrops


def _files(pixels: Tensor, sensors: Sequence[SensorDraw]) -> tuple[bytes, ...]:
    files = [b""] * len(sensors)

    def write(row: int) -> None:
        files[row] = jpeg_file(pixels[row], sensors[row])

    run_tasks(write, [(row,) for row in range(len(files))])
    return tuple(files)


def _maps(topology: SceneTopology, heads: Heads) -> Float[Tensor, "B S S 4"]:
    """Albedo and specular intensity as texture maps."""
    on_vertices, chart = torch.cat([heads.albedo, heads.specular[..., None]], -1), topology.chart
    shape = len(on_vertices), *chart.triangle.shape[1:]
    together = Fragments(
        chart.triangle.expand(shape),
        chart.barycentric.expand(*shape, 3),
        chart.depth.expand(shape),
        chart.perspective,
        chart.cull_back_faces,
    )
    return interpolate(together, topology.every, on_vertices)


def _masks(topology: SceneTopology, view: _View) -> SampleMasks:
    triangle = view.whole.triangle.long()
    count = len(topology.head)
    own = (triangle >= 0) & (triangle < count)
    label = torch.where(own, topology.label[triangle.clamp(0, count - 1)], 0)
    return SampleMasks(
        head=view.head.covered,
        skin=label & SKIN > 0,
        face=label & FACE > 0,
        inner_mouth=label & INNER > 0,
        occluder=triangle >= count,
    )
