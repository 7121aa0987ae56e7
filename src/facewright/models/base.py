"""The head that ships with facewright: read from one file and subdivided to its working resolution."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from facewright.core.assets import asset_path, read_safetensors
from facewright.core.errors import AssetError
from facewright.geometry.mesh import Topology
from facewright.models.checks import MAX_COMPONENTS, MAX_VALUES, MAX_VERTICES, check_whole
from facewright.models.face_model import ExpressionPrior, FaceModel, LandmarkSet

BASE_HEAD = "base_head.safetensors"
FORMAT = "facewright base head 1"


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


def base_subdivision(path: Path | None = None) -> sparse.csr_matrix:
    """The base head's working vertices (rows) from those that its file stores (columns).

    Raises:
        AssetError: as ``load_base_model``.
    """
    tensors, _ = read_safetensors(asset_path(BASE_HEAD) if path is None else path)
    return _subdivision(tensors)


def _assemble(tensors: dict[str, Tensor], metadata: dict[str, str]) -> FaceModel:
    regions, parts = _names(metadata, "regions"), _names(metadata, "parts")
    matrix = _subdivision(tensors)
    mean, identity, expression = _subdivide(matrix, tensors)
    faces = tensors["faces"].long()
    uv_faces = tensors["uv_faces"].long()
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
            *(tensors[f"expression_prior_{part}"].float() for part in ("mean", "std", "correlation"))
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
    check_whole(model)
    return model


def _names(metadata: dict[str, str], key: str) -> tuple[str, ...]:
    names = json.loads(metadata[key])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{key} is no list of names")
    return tuple(names)


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
    identity = fine_basis(matrix, tensors["identity_basis"].float())
    start = tensors["expression_start"].long()
    expression = torch.zeros(len(tensors["mean"]), len(start) - 1, 3)
    number = torch.repeat_interleave(torch.arange(len(start) - 1), start.diff())
    expression[tensors["expression_vertex"].long(), number] = tensors["expression_delta"].float()
    return mean, identity, fine_basis(matrix, expression.flatten(1))


def fine_basis(matrix: sparse.csr_matrix, columns: Tensor) -> Tensor:
    """Displacements (K,V,3) from those of the stored vertices (S,3K), x y z of a shape together."""
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
