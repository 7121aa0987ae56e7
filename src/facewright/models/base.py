"""The head that ships with facewright: read from one file and subdivided to its working resolution."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from facewright.core.assets import asset_path, read_safetensors
from facewright.core.errors import AssetError
from facewright.geometry.mesh import Topology, check_faces
from facewright.models.face_model import ExpressionPrior, FaceModel, LandmarkSet

BASE_HEAD = "base_head.safetensors"
FORMAT = "facewright base head 1"
MAX_VERTICES, MAX_COMPONENTS = 200_000, 2_000
MAX_VALUES = 1 << 28  # of the bases on the working mesh: 1 GiB


def load_base_model(path: Path | None = None) -> FaceModel:
    """Read the base head (float32, CPU); call once and keep it, nothing is cached here.

    Args:
        path: another file of the same format; the packaged one if None.

    Raises:
        AssetError: the file is missing, damaged, or not a base head.
    """
    path = asset_path(BASE_HEAD) if path is None else path
    tensors, metadata = read_safetensors(path)
    if metadata.get("format") != FORMAT:
        raise AssetError(
            f"{path} should say format {FORMAT!r}, says {metadata.get('format')!r}: "
            "it was made for another version of facewright."
        )
    try:
        return _assemble(tensors, metadata)
    except (LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise AssetError(f"{path} is not a whole base head ({error}): reinstall facewright.") from error


def _assemble(tensors: dict[str, Tensor], metadata: dict[str, str]) -> FaceModel:
    regions, parts = _names(metadata, "regions"), _names(metadata, "parts")
    matrix = _subdivision(tensors)
    count = matrix.shape[0]  # pyright: ignore[reportOptionalSubscript]
    mean, identity, expression = _subdivide(matrix, tensors)
    faces = tensors["faces"].long()
    uv_faces = tensors["uv_faces"].long()
    check_faces(faces, count)
    check_faces(uv_faces, len(tensors["uv"]))
    region_bits, part = tensors["region_bits"], tensors["part"]
    model = FaceModel(
        name="base",
        version=metadata["version"],
        topology=Topology(faces, tensors["uv"].float(), uv_faces),
        mean=mean,
        identity_basis=identity,
        expression_basis=expression,
        expression_names=_names(metadata, "expression_names"),
        expression_prior=ExpressionPrior(
            tensors["expression_prior_mean"].float(), tensors["expression_prior_std"].float()
        ),
        diffuse_mean=tensors["diffuse_mean"].float(),
        diffuse_basis=_dequantised(tensors, "diffuse_basis"),
        specular_mean=tensors["specular_mean"].float(),
        specular_basis=_dequantised(tensors, "specular_basis"),
        mirror=tensors["mirror"].long(),
        regions={name: (region_bits >> bit) & 1 > 0 for bit, name in enumerate(regions)},
        parts={name: part == number for number, name in enumerate(parts)},
        landmarks={name: _landmarks(tensors, name) for name in _names(metadata, "landmark_sets")},
        eye_centers=tensors["eye_centers"].float(),
    )
    _check_shapes(model)
    _check_values(model)
    return model


def _names(metadata: dict[str, str], key: str) -> tuple[str, ...]:
    names = json.loads(metadata[key])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{key} is no list of names")
    return tuple(names)


def _check_shapes(model: FaceModel) -> None:
    """Everything of a vertex, an expression or a landmark must be there once for each of them."""
    count, expressions = len(model.mean), len(model.expression_names)
    shapes = {
        "mean": (model.mean, (count, 3)),
        "identity_basis": (model.identity_basis, (model.identity_count, count, 3)),
        "expression_basis": (model.expression_basis, (expressions, count, 3)),
        "expression_prior_mean": (model.expression_prior.mean, (expressions,)),
        "expression_prior_std": (model.expression_prior.std, (expressions,)),
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


def _check_values(model: FaceModel) -> None:
    """Numbers must be finite and indices point at something."""
    floats = {
        field.name: value
        for field in fields(model)
        if isinstance(value := getattr(model, field.name), Tensor) and value.is_floating_point()
    }
    floats |= {"expression_prior_mean": model.expression_prior.mean, "uv": model.topology.uv}
    floats |= {"expression_prior_std": model.expression_prior.std}
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


def _subdivision(tensors: dict[str, Tensor]) -> sparse.csr_matrix:
    """Working vertices (rows) from source vertices (columns)."""
    start, column = tensors["subdivision_start"].numpy(), tensors["subdivision_column"].numpy()
    weight = tensors["subdivision_weight"].float().numpy()
    source = tensors["mean"].shape[0]
    rows = len(start) - 1
    if (
        rows > MAX_VERTICES
        or source > MAX_VERTICES
        or tensors["identity_basis"].shape[1] > 3 * MAX_COMPONENTS
    ):
        raise ValueError(f"{rows} vertices, more than {MAX_VERTICES}")
    columns = tensors["identity_basis"].shape[1] + 3 * len(tensors["expression_start"])
    if max(rows, source) * columns > MAX_VALUES:
        raise ValueError(f"bases of {rows} x {columns} numbers, more than {MAX_VALUES}")
    whole = start[0] == 0 and start[-1] == len(column) == len(weight) and (np.diff(start) > 0).all()
    if not whole or column.min() < 0 or column.max() >= source:
        raise ValueError("the subdivision matrix is damaged")
    matrix = sparse.csr_matrix(
        (weight, column.astype(np.int32), start.astype(np.int32)), shape=(rows, source)
    )
    # Half precision weights sum to 1 within 1e-3 only, which would shift a vertex by a tenth of a millimetre.
    return sparse.diags(1.0 / np.asarray(matrix.sum(axis=1)).ravel()).astype(np.float32) @ matrix


def _subdivide(matrix: sparse.csr_matrix, tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (V,3) and bases (K,V,3) on the working mesh."""
    mean = torch.from_numpy(matrix @ tensors["mean"].float().numpy())
    # The file keeps the identity basis as (source, 3K), x y z of a shape together.
    identity = _fine_basis(matrix, tensors["identity_basis"].float())
    start = tensors["expression_start"].long()
    expression = torch.zeros(len(tensors["mean"]), len(start) - 1, 3)
    number = torch.repeat_interleave(torch.arange(len(start) - 1), start.diff())
    expression[tensors["expression_vertex"].long(), number] = tensors["expression_delta"].float()
    return mean, identity, _fine_basis(matrix, expression.flatten(1))


def _fine_basis(matrix: sparse.csr_matrix, columns: Tensor) -> Tensor:
    fine = torch.from_numpy(matrix @ columns.numpy())
    return fine.unflatten(1, (-1, 3)).transpose(0, 1).contiguous()


def _dequantised(tensors: dict[str, Tensor], name: str) -> Tensor:
    scale = tensors[f"{name}_scale"]
    stored = tensors[name].float()
    return stored * scale.view(-1, *([1] * (stored.dim() - 1)))


def _landmarks(tensors: dict[str, Tensor], name: str) -> LandmarkSet:
    weights = tensors[f"{name}.weights"].float()
    return LandmarkSet(
        tensors[f"{name}.triangle"].long(),
        weights / weights.sum(1, keepdim=True),
        tensors[f"{name}.contour"].bool(),
    )
