"""A part of a head model as a model of its own, with the same coefficients."""

from dataclasses import replace

from jaxtyping import Bool
from torch import Tensor

from facewright.core.errors import InputError
from facewright.geometry.mesh import Topology
from facewright.models.face_model import FaceModel


def cropped_model(model: FaceModel, kept: Bool[Tensor, " V"]) -> FaceModel:
    """The same head where ``kept`` says so, where that is mirrored to, and where it has landmarks.

    Coefficients keep their meaning, so that name and version stay: heads of one are heads of the other.
    Triangles stay if all of their corners do.

    Raises:
        InputError: nothing would be left.
    """
    faces, kept = model.topology.faces, kept.clone()
    if not bool(kept.any()):
        raise InputError(f"expected some vertices of model {model.name!r} to keep, got none.")
    for points in model.landmarks.values():
        kept[faces[points.triangle]] = True
    kept = kept | kept[model.mirror]
    stay = kept[faces].all(1)
    place, row = kept.long().cumsum(0) - 1, stay.long().cumsum(0) - 1
    return replace(
        model,
        topology=Topology(place[faces[stay]], model.topology.uv, model.topology.uv_faces[stay]),
        mean=model.mean[kept],
        identity_basis=model.identity_basis[:, kept].contiguous(),
        expression_basis=model.expression_basis[:, kept].contiguous(),
        diffuse_mean=model.diffuse_mean[kept],
        diffuse_basis=model.diffuse_basis[:, kept].contiguous(),
        specular_mean=model.specular_mean[kept],
        specular_basis=model.specular_basis[:, kept].contiguous(),
        mirror=place[model.mirror[kept]],
        regions={name: mask[kept] for name, mask in model.regions.items()},
        parts={name: mask[kept] for name, mask in model.parts.items()},
        landmarks={
            name: replace(points, triangle=row[points.triangle]) for name, points in model.landmarks.items()
        },
    )
