"""A head as GLB: morph targets with ARKit names, eyes as own nodes, PBR materials, embedded texture.

Nodes: ``<name>_head`` > ``head`` (skin and mouth interior, all morph targets), ``left_eye``, ``right_eye``,
``hair`` where there is some: a shell that follows the skin below it, and ``glasses`` where some are worn;
both can be left out.
The origin of an eye node is the eyeball's centre of rotation. Gaze is told twice, so take one of the two:
the eye meshes carry those morph targets (eyeLook...) that move them and start with the photo's weights, so
that a player that sets all targets by name reproduces the photo; a rig that turns the eye nodes instead sets
the weights of the eye meshes to 0.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor

from facewright import __version__
from facewright.core.files import atomic_file
from facewright.export.asset import EYE_PARTS, AssetGlasses, AssetHair, AssetLamp, HeadAsset, check_head
from facewright.export.glb import BufferBuilder, glb_bytes
from facewright.export.maps import ImageFormat, encode_alpha, encode_image
from facewright.export.normals import MOVED_MM, longer_than, morph_normals
from facewright.export.seams import Primitive, faces_by_part, split_at_seams
from facewright.geometry.tangents import vertex_tangents
from facewright.uv.bake import bake
from facewright.uv.chart import UvChart

METRES_FROM_MM = 1e-3
TURNED = 3e-3  # a fifth of a degree: smaller changes of a normal are not seen
# Roughness by material; nothing on a head is metal.
ROUGHNESS = {"skin": 0.5, "mouth": 0.35, "eye": 0.12, "hair": 0.6, "frame": 0.35, "lens": 0.05}
SHELL = "hair shell"  # no part of a model is called so
HAIR_MOVED_MM = 0.05  # a shell is no finer
# Reflectance of skin at normal incidence is 0.028, of glTF's default material 0.04.
SKIN_SPECULAR = 0.7
SPECULAR_EXTENSION = "KHR_materials_specular"
LAMP_EXTENSION = "KHR_lights_punctual"
SPECULAR_SIZE = 256  # texels a side: gloss comes from a few smooth components


@dataclass(frozen=True)
class _Source:
    """The arrays of a head that all its primitives are cut from."""

    neutral: ndarray
    deltas: ndarray
    normals: ndarray
    normal_deltas: ndarray
    tangents: ndarray | None
    names: tuple[str, ...]
    weights: ndarray


def write_glb(path: Path, head: HeadAsset, *, image_format: ImageFormat = "jpeg") -> None:
    """Write a head as one GLB file: metres, +Y up, +Z out of the face, weights set to the photo's expression.

    Args:
        path: the file.
        head: the head; its texture is embedded.
        image_format: "png" keeps every bit, "jpeg" is a quarter of the size.

    Raises:
        InputError: the head's arrays do not fit one another.
        OutputError: the file cannot be written.
    """
    with atomic_file(path) as partial:
        partial.write_bytes(glb_of(head, image_format=image_format))


def glb_of(head: HeadAsset, *, image_format: ImageFormat = "jpeg") -> bytes:
    """Return the bytes of the GLB file of a head.

    Raises:
        InputError: the head's arrays do not fit one another.
    """
    check_head(head)
    builder = BufferBuilder()
    source = _source(head)
    primitives = _primitives(head)
    head_parts = [part for part in primitives if part not in EYE_PARTS]
    every = np.arange(len(source.names))
    meshes = [
        _mesh(builder, source, "head", {part: primitives[part] for part in head_parts}, np.zeros(3), every)
    ]
    nodes: list[dict[str, Any]] = [{"name": f"{head.name}_head"}, {"name": "head", "mesh": 0}]
    for part, center in zip(EYE_PARTS, head.eye_centers.double().cpu().numpy(), strict=True):
        if part not in primitives:
            continue
        chosen = np.flatnonzero(longer_than(source.deltas[:, primitives[part].source], 0.0).any(axis=1))
        meshes.append(_mesh(builder, source, part, {part: primitives[part]}, center, chosen))
        place = (center * METRES_FROM_MM).tolist()
        nodes.append({"name": part, "mesh": len(meshes) - 1, "translation": place})
    for worn in _worn_meshes(builder, source, head):
        meshes.append(worn)
        nodes.append({"name": worn["name"], "mesh": len(meshes) - 1})
    lights = []
    if head.lamp is not None:
        place, light = _lamp(head.lamp)
        lights.append(light)
        nodes.append({"name": "lamp", "translation": place, "extensions": {LAMP_EXTENSION: {"light": 0}}})
    nodes[0]["children"] = list(range(1, len(nodes)))
    images, factor = _images(builder, head, image_format)
    numbers = {image["name"]: number for number, image in enumerate(images)}
    animations = _animations(builder, head, nodes, meshes)
    binary = builder.content()
    document = {
        "asset": {"version": "2.0", "generator": f"facewright {__version__}"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": nodes,
        "meshes": meshes,
        "materials": _materials(meshes, factor, head, numbers),
        "textures": [{"source": index, "sampler": 0} for index in range(len(images))],
        "images": images,
        "samplers": [{"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}],
        "accessors": builder.accessors,
        "bufferViews": builder.views,
        "buffers": [{"byteLength": len(binary)}],
    }
    if animations:
        document["animations"] = animations
    used = [SPECULAR_EXTENSION] if head.gloss is not None else []
    if lights:
        used.append(LAMP_EXTENSION)
        document["extensions"] = {LAMP_EXTENSION: {"lights": lights}}
    if used:
        document["extensionsUsed"] = used
    return glb_bytes(document, binary)


def _images(
    builder: BufferBuilder, head: HeadAsset, image_format: ImageFormat
) -> tuple[list[dict[str, Any]], float | None]:
    """Albedo, specular strength, normals and hair, as far as there are such; and the factor of the second."""
    view = builder.add_view(encode_image(head.texture, image_format))
    images, factor = [{"name": "albedo", "bufferView": view, "mimeType": f"image/{image_format}"}], None
    if head.gloss is not None:
        factor, strength = _specular(head, head.gloss)
        view = builder.add_view(encode_alpha(strength))
        images.append({"name": "specular", "bufferView": view, "mimeType": "image/png"})
    if head.normals is not None:
        view = builder.add_view(encode_image(head.normals, image_format))
        images.append({"name": "normals", "bufferView": view, "mimeType": f"image/{image_format}"})
    if head.hair is not None:
        # With an alpha channel, which JPEG has not.
        view = builder.add_view(encode_image(head.hair.texture, "png"))
        images.append({"name": "hair", "bufferView": view, "mimeType": "image/png"})
    return images, factor


def _animations(
    builder: BufferBuilder, head: HeadAsset, nodes: list[dict[str, Any]], meshes: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The head's frames as one animation of all nodes whose meshes have targets."""
    if head.frames is None:
        return []
    frames = head.frames.double().cpu().numpy()
    times = builder.add_numbers(np.linspace(0, head.seconds, len(frames)), bounds=True)
    place = {name: number for number, name in enumerate(head.expression_names)}
    channels, samplers = [], []
    for number, node in enumerate(nodes):
        mesh = meshes[node["mesh"]] if "mesh" in node else {}
        if "weights" not in mesh:
            continue
        chosen = [place[name] for name in mesh["extras"]["targetNames"]]
        output = builder.add_numbers(frames[:, chosen].reshape(-1))
        channels.append({"sampler": len(samplers), "target": {"node": number, "path": "weights"}})
        samplers.append({"input": times, "output": output, "interpolation": "LINEAR"})
    return [{"name": head.name, "channels": channels, "samplers": samplers}] if channels else []


def _lamp(lamp: AssetLamp) -> tuple[list[float], dict[str, Any]]:
    """Place in metres, and the light: glTF counts candelas, of which a diffuse surface sends back 1 / pi."""
    place = lamp.place.double().cpu() * METRES_FROM_MM
    brightest = max(float(lamp.light.max()), 1e-6)
    color = (lamp.light.double().cpu() / brightest).clamp(0, 1).tolist()
    intensity = math.pi * brightest * float(place.square().sum())
    return place.tolist(), {"name": "lamp", "type": "point", "color": color, "intensity": intensity}


def _source(head: HeadAsset) -> _Source:
    neutral = head.neutral.float().cpu().numpy()
    deltas = head.deltas.float().cpu().numpy()
    deltas = deltas * longer_than(deltas, MOVED_MM)[..., None]
    normals, normal_deltas = morph_normals(neutral, deltas, head.topology.faces.cpu().numpy())
    return _Source(
        neutral,
        deltas,
        normals,
        normal_deltas * longer_than(normal_deltas, TURNED)[..., None],
        None if head.normals is None else _tangents(head, normals),
        head.expression_names,
        head.weights.double().cpu().numpy(),
    )


def _tangents(head: HeadAsset, normals: ndarray) -> ndarray:
    """Along u, with the side of v as the fourth number; any direction across the normal where none is told.

    A vertex on a seam has those of both sides, averaged: the map tells no relief there.
    """
    neutral, flat = head.neutral.float().cpu()[None], torch.from_numpy(normals).float()
    along_u, across_u = vertex_tangents(neutral, flat[None], head.topology.to("cpu"))[0].unbind(1)
    untold = along_u.norm(dim=-1) < 0.5
    aside = torch.linalg.cross(flat, torch.eye(3)[flat.abs().argmin(-1)])
    along_u = torch.where(untold[:, None], aside / aside.norm(dim=-1, keepdim=True), along_u)
    side = (torch.linalg.cross(flat, along_u) * across_u).sum(-1, keepdim=True)
    return torch.cat([along_u, torch.where(side < 0, -1.0, 1.0)], -1).numpy()


def _primitives(head: HeadAsset) -> dict[str, Primitive]:
    faces, uv_faces = head.topology.faces.cpu().numpy(), head.topology.uv_faces.cpu().numpy()
    uv = head.topology.uv.float().cpu().numpy()
    parts = {name: mask.cpu().numpy() for name, mask in head.parts.items()}
    members = faces_by_part(faces, parts)
    return {name: split_at_seams(faces[chosen], uv, uv_faces[chosen]) for name, chosen in members.items()}


def _mesh(
    builder: BufferBuilder,
    source: _Source,
    name: str,
    primitives: dict[str, Primitive],
    origin: ndarray,
    targets: ndarray,
) -> dict[str, Any]:
    """One glTF mesh."""
    mesh: dict[str, Any] = {"name": name, "primitives": []}
    for part, primitive in primitives.items():
        mesh["primitives"].append(_primitive(builder, source, primitive, origin, targets, _kind(part)))
    if len(targets):
        mesh["weights"] = source.weights[targets].tolist()
        mesh["extras"] = {"targetNames": [source.names[index] for index in targets]}
    return mesh


def _worn_meshes(builder: BufferBuilder, source: _Source, head: HeadAsset) -> list[dict[str, Any]]:
    """Hair and glasses, as far as there are some."""
    hair = [] if head.hair is None else [_hair_mesh(builder, source, head.hair)]
    return hair if head.glasses is None else [*hair, _glasses_mesh(builder, head.glasses)]


def _hair_mesh(builder: BufferBuilder, source: _Source, hair: AssetHair) -> dict[str, Any]:
    """The shell, with those targets that move the skin below it; they do not turn its normals."""
    topology = hair.topology
    faces, uv_faces = topology.faces.cpu().numpy(), topology.uv_faces.cpu().numpy()
    primitive = split_at_seams(faces, topology.uv.float().cpu().numpy(), uv_faces)
    skin = hair.skin.cpu().numpy()
    places = source.neutral[skin].mean(1) + hair.offset.float().cpu().numpy()
    deltas = sum(source.deltas[:, column] for column in skin.T) / skin.shape[1]
    normals, _ = morph_normals(places, deltas[:0], faces)
    still = np.broadcast_to(np.float32(0), deltas.shape)
    moved = longer_than(deltas[:, primitive.source], HAIR_MOVED_MM).any(axis=1)
    shell = replace(
        source, neutral=places, deltas=deltas, normals=normals, normal_deltas=still, tangents=None
    )
    return _mesh(builder, shell, "hair", {SHELL: primitive}, np.zeros(3), np.flatnonzero(moved))


def _glasses_mesh(builder: BufferBuilder, glasses: AssetGlasses) -> dict[str, Any]:
    """Frame and lenses, still with every expression; their colours are those of their vertices."""
    places, colors = glasses.vertices.float().cpu().numpy(), glasses.colors.float().cpu().numpy()
    faces = glasses.faces.cpu().numpy()
    mesh: dict[str, Any] = {"name": "glasses", "primitives": []}
    for kind, own in (("frame", faces[: glasses.frame]), ("lens", faces[glasses.frame :])):
        rows, triangles = np.unique(own, return_inverse=True)
        triangles = triangles.reshape(-1, 3)
        normals, _ = morph_normals(places[rows], np.zeros((0, len(rows), 3), np.float32), triangles)
        mesh["primitives"].append(
            {
                "attributes": {
                    "POSITION": builder.add_vectors(places[rows] * METRES_FROM_MM, bounds=True),
                    "NORMAL": builder.add_vectors(normals),
                    "COLOR_0": builder.add_vectors(colors[rows]),
                },
                "indices": builder.add_triangles(triangles, len(rows)),
                "material": kind,
            }
        )
    return mesh


def _primitive(
    builder: BufferBuilder,
    source: _Source,
    primitive: Primitive,
    origin: ndarray,
    targets: ndarray,
    kind: str,
) -> dict[str, Any]:
    """One primitive; its material is a kind until the materials are numbered."""
    rows = primitive.source
    top_left_uv = np.stack([primitive.uv[:, 0], 1 - primitive.uv[:, 1]], axis=1)
    described: dict[str, Any] = {
        "attributes": {
            "POSITION": builder.add_vectors((source.neutral[rows] - origin) * METRES_FROM_MM, bounds=True),
            "NORMAL": builder.add_vectors(source.normals[rows]),
            "TEXCOORD_0": builder.add_vectors(top_left_uv),
        },
        "indices": builder.add_triangles(primitive.triangles, len(rows)),
    }
    if source.tangents is not None and kind == "skin":
        described["attributes"]["TANGENT"] = builder.add_vectors(source.tangents[rows])
    described["material"] = kind
    if len(targets):
        described["targets"] = [
            {
                "POSITION": builder.add_sparse_vectors(
                    source.deltas[target, rows] * METRES_FROM_MM, bounds=True
                ),
                "NORMAL": builder.add_sparse_vectors(source.normal_deltas[target, rows]),
            }
            for target in targets
        ]
    return described


def _kind(part: str) -> str:
    if part in EYE_PARTS:
        return "eye"
    return {"skin": "skin", SHELL: "hair"}.get(part, "mouth")


def roughness_of(shininess: float) -> float:
    """Roughness of glTF whose highlights are as wide as those of a Blinn-Phong exponent.

    **Source:** Walter et al., "Microfacet Models for Refraction", 2007: alpha^2 = 2 / (exponent + 2), where
    alpha is glTF's roughness squared.
    """
    return (2 / (shininess + 2)) ** 0.25


def _specular(head: HeadAsset, gloss: Tensor) -> tuple[float, UInt8[Tensor, "S S"]]:
    """The specularFactor of the skin, and the map that it is multiplied by."""
    strength = (SKIN_SPECULAR * gloss).clamp(0, 1)
    factor = max(round(float(strength[head.parts.get("skin", torch.ones_like(gloss).bool())].max()), 4), 1e-4)
    size = min(head.texture.shape[0], SPECULAR_SIZE)
    baked = bake(UvChart.of(head.topology, size), (strength / factor).clamp(max=1)[:, None])
    return factor, (baked[..., 0] * 255 + 0.5).to(torch.uint8)


def _materials(
    meshes: list[dict[str, Any]],
    specular: float | None,
    head: HeadAsset,
    images: Mapping[str, int],
) -> list[dict[str, Any]]:
    """Number the kinds of material that the meshes use and describe each once.

    Skin whose gloss is known gets its specular strength, factor times map; players without the extension show
    glTF's default. The alpha of the hair's texture cuts the shell out, since players do not sort what is half
    transparent. ``images`` are the numbers of the textures by name.
    """
    roughness = dict(ROUGHNESS)
    if head.shininess is not None:
        roughness["skin"] = round(roughness_of(head.shininess), 4)
    kinds: list[str] = []
    for mesh in meshes:
        for primitive in mesh["primitives"]:
            kind = primitive["material"]
            if kind not in kinds:
                kinds.append(kind)
            primitive["material"] = kinds.index(kind)
    materials: list[dict[str, Any]] = [
        {
            "name": kind,
            "pbrMetallicRoughness": {
                "baseColorTexture": {"index": 0},
                "metallicFactor": 0.0,
                "roughnessFactor": roughness[kind],
            },
            # The neck is open: its inside would be a hole otherwise.
            "doubleSided": kind == "skin",
        }
        for kind in kinds
    ]
    for material in materials:
        if material["name"] == "hair":
            material["pbrMetallicRoughness"]["baseColorTexture"] = {"index": images["hair"]}
            material |= {"alphaMode": "MASK", "doubleSided": True}
        if material["name"] in ("frame", "lens"):
            del material["pbrMetallicRoughness"]["baseColorTexture"]
        if material["name"] == "lens" and head.glasses is not None:
            opacity = round(head.glasses.lens_opacity, 4)
            material["pbrMetallicRoughness"]["baseColorFactor"] = [1.0, 1.0, 1.0, opacity]
            material |= {"alphaMode": "BLEND", "doubleSided": True}
    skin = [material for material in materials if material["name"] == "skin"]
    for material in skin:
        if specular is not None:
            strength = {"specularFactor": specular, "specularTexture": {"index": images["specular"]}}
            material["extensions"] = {SPECULAR_EXTENSION: strength}
        if "normals" in images:
            material["normalTexture"] = {"index": images["normals"]}
    return materials
