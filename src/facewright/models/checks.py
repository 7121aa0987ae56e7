"""What every face model must satisfy, whoever made it: whole, finite, and indices that point at something."""

from dataclasses import fields

import torch
from torch import Tensor

from facewright.geometry.mesh import check_faces
from facewright.models.face_model import FaceModel

MAX_VERTICES, MAX_COMPONENTS = 200_000, 2_000
MAX_VALUES = 1 << 28  # of the bases on the working mesh: 1 GiB


def check_whole(model: FaceModel) -> None:
    """Refuse a model whose arrays do not fit one another or hold what cannot be.

    Raises:
        ValueError: the first thing that is wrong.
    """
    check_sizes(model)
    check_shapes(model)
    check_faces(model.topology.faces, len(model.mean))
    check_faces(model.topology.uv_faces, len(model.topology.uv))
    check_values(model)


def check_sizes(model: FaceModel) -> None:
    """Refuse what is larger than any head.

    Raises:
        ValueError: too many vertices, components or values.
    """
    count = len(model.mean)
    bases = (model.identity_basis, model.expression_basis, model.diffuse_basis, model.specular_basis)
    if not 3 <= count <= MAX_VERTICES:
        raise ValueError(f"{count} vertices, expected 3 to {MAX_VERTICES}")
    for basis in bases:
        if len(basis) > MAX_COMPONENTS or basis.numel() > MAX_VALUES:
            raise ValueError(f"a basis of {len(basis)} components and {basis.numel()} numbers is too large")


def check_shapes(model: FaceModel) -> None:
    """Everything of a vertex, an expression or a landmark must be there once for each of them.

    Raises:
        ValueError: an array has another shape.
    """
    count, expressions = len(model.mean), len(model.expression_names)
    shapes = {
        "mean": (model.mean, (count, 3)),
        "identity_basis": (model.identity_basis, (model.identity_count, count, 3)),
        "expression_basis": (model.expression_basis, (expressions, count, 3)),
        "expression_prior_mean": (model.expression_prior.mean, (expressions,)),
        "expression_prior_std": (model.expression_prior.std, (expressions,)),
        "expression_prior_correlation": (model.expression_prior.correlation, (expressions, expressions)),
        "uv": (model.topology.uv, (len(model.topology.uv), 2)),
        "faces": (model.topology.faces, (len(model.topology.uv_faces), 3)),
        "uv_faces": (model.topology.uv_faces, (len(model.topology.faces), 3)),
        "diffuse_mean": (model.diffuse_mean, (count, 3)),
        "diffuse_basis": (model.diffuse_basis, (model.diffuse_count, count, 3)),
        "specular_mean": (model.specular_mean, (count,)),
        "specular_basis": (model.specular_basis, (len(model.specular_basis), count)),
        "mirror": (model.mirror, (count,)),
        "eye_centers": (model.eye_centers, (2, 3)),
    }
    shapes |= {f"mask {name}": (mask, (count,)) for name, mask in {**model.regions, **model.parts}.items()}
    for name, points in model.landmarks.items():
        number = len(points.triangle)
        shapes[f"{name}.triangle"] = (points.triangle, (number,))
        shapes[f"{name}.weights"] = (points.weights, (number, 3))
        shapes[f"{name}.contour"] = (points.contour, (number,))
    for name, (tensor, shape) in shapes.items():
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}")


def check_values(model: FaceModel) -> None:
    """Numbers must be finite and indices point at something.

    Raises:
        ValueError: a number is not finite or an index points outside.
    """
    floats = {
        field.name: value
        for field in fields(model)
        if isinstance(value := getattr(model, field.name), Tensor) and value.is_floating_point()
    }
    floats |= {"expression_prior_mean": model.expression_prior.mean, "uv": model.topology.uv}
    prior = model.expression_prior
    floats |= {"expression_prior_std": prior.std, "expression_prior_correlation": prior.correlation}
    floats |= {f"{name}.weights": points.weights for name, points in model.landmarks.items()}
    for name, values in floats.items():
        if not bool(values.isfinite().all()):
            raise ValueError(f"{name} holds numbers that are not finite")
    indices = {"mirror": (model.mirror, len(model.mean))}
    triangles = len(model.topology.faces)
    indices |= {f"{name}.triangle": (points.triangle, triangles) for name, points in model.landmarks.items()}
    for name, (index, count) in indices.items():
        if bool(((index < 0) | (index >= count)).any()):
            raise ValueError(f"{name} points outside of [0, {count})")
    if not torch.equal(model.mirror[model.mirror], torch.arange(len(model.mean))):
        raise ValueError("mirror does not lead back to where it started")
