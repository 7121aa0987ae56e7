"""Which pixels of a photo show the skin of a face."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.fitting.face_crop import FaceCrops
from facewright.geometry.normals import vertex_normals
from facewright.models.face_model import FaceModel
from facewright.render.fragments import Fragments
from facewright.render.interpolate import interpolate
from facewright.render.rasterize import rasterize
from facewright.render.shading import unit
from facewright.scene.parameters import HeadParameters

EXCLUDED_REGIONS = ("inner_mouth", "scalp", "ear_left", "ear_right", "neck")


@dataclass(frozen=True)
class SeenSkin:
    """Heads as the crops show them.

    Attributes:
        fragments: of the rasterised heads.
        weight: how much each pixel shows skin that faces the camera.
        normals: unit, camera frame.
        points: mm, camera frame.
    """

    fragments: Fragments
    weight: Float[Tensor, "B S S"]
    normals: Float[Tensor, "B S S 3"]
    points: Float[Tensor, "B S S 3"]


def seen_skin(model: FaceModel, crops: FaceCrops, parameters: HeadParameters) -> SeenSkin:
    """What each pixel of the crops shows of the heads."""
    vertices = model.vertices(parameters.identity, parameters.expression)
    camera = parameters.pose.camera_from_head(vertices)
    faces = model.topology.faces
    fragments = rasterize(
        crops.camera.project(camera), faces, crops.camera.size, perspective=True, cull_back_faces=True
    )
    normals = unit(interpolate(fragments, faces, vertex_normals(camera, faces)))
    points = interpolate(fragments, faces, camera)
    trust = interpolate(fragments, faces, skin_mask(model)[None, :, None])[..., 0] * crops.inside
    facing = -(normals * unit(points)).sum(-1)
    return SeenSkin(fragments, (trust > 0.99) * facing.clamp(0, 1), normals, points)


def skin_mask(model: FaceModel) -> Float[Tensor, " V"]:
    """1 on the skin of the face, 0 on hair, eyes, teeth, ears and neck."""
    mask = torch.ones_like(model.specular_mean)
    if "face" in model.regions:
        mask = mask * model.regions["face"]
    if "skin" in model.parts:
        mask = mask * model.parts["skin"]
    for name in EXCLUDED_REGIONS:
        if name in model.regions:
            mask = mask * ~model.regions[name]
    return mask
