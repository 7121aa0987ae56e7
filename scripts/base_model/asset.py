"""Write a built model in the file format that ``facewright.models.base`` reads."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import torch

from base_model.appearance import Appearance
from base_model.source import PARTS
from base_model.subdivision import AdaptiveMesh
from facewright.core.assets import write_safetensors
from facewright.models.base import FORMAT
from facewright.models.face_model import ExpressionPrior


@dataclasses.dataclass(frozen=True)
class BuiltModel:
    """Everything the file holds; shapes on the source topology, the rest on the dense mesh."""

    mean: np.ndarray  # (S,3)
    identity_basis: np.ndarray  # (K,S,3)
    expression_basis: np.ndarray  # (E,S,3)
    expression_names: tuple[str, ...]
    expression_prior: ExpressionPrior
    mesh: AdaptiveMesh
    uv: np.ndarray  # (T,2) dense
    mirror: np.ndarray  # (V,)
    part: np.ndarray  # (V,)
    regions: dict[str, np.ndarray]
    landmarks: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
    eye_centres: np.ndarray  # (2,3)
    appearance: Appearance


def write_asset(path: Path, model: BuiltModel, *, version: str, provenance: dict[str, str]) -> None:
    """Write the file; atomic."""
    matrix = model.mesh.matrix
    bits = np.zeros(len(model.part), dtype=np.int64)
    for bit, mask in enumerate(model.regions.values()):
        bits |= mask.astype(np.int64) << bit
    arrays: dict[str, np.ndarray] = {
        "mean": model.mean.astype(np.float32),
        "identity_basis": _columns(model.identity_basis),
        **_sparse_columns(model.expression_basis),
        "expression_prior_mean": model.expression_prior.mean.numpy(),
        "expression_prior_std": model.expression_prior.std.numpy(),
        "expression_prior_correlation": model.expression_prior.correlation.numpy(),
        "subdivision_start": matrix.indptr.astype(np.int32),
        "subdivision_column": matrix.indices.astype(np.int16),
        "subdivision_weight": matrix.data.astype(np.float16),
        "faces": model.mesh.faces.astype(np.int16),
        "uv": model.uv.astype(np.float32),
        "uv_faces": model.mesh.uv_faces.astype(np.int16),
        "mirror": model.mirror.astype(np.int16),
        "part": model.part.astype(np.uint8),
        "region_bits": bits.astype(np.int32),
        "eye_centers": model.eye_centres.astype(np.float32),
        "diffuse_mean": model.appearance.diffuse_mean.astype(np.float16),
        "specular_mean": model.appearance.specular_mean.astype(np.float16),
    }
    for name in ("diffuse_basis", "specular_basis"):
        arrays[name], arrays[f"{name}_scale"] = _quantised(getattr(model.appearance, name))
    for name, (triangle, weights, contour) in model.landmarks.items():
        arrays[f"{name}.triangle"] = triangle.astype(np.int32)
        arrays[f"{name}.weights"] = weights.astype(np.float32)
        arrays[f"{name}.contour"] = contour.astype(np.uint8)
    metadata = {
        "format": FORMAT,
        "version": version,
        "regions": json.dumps(list(model.regions)),
        "parts": json.dumps(list(PARTS)),
        "expression_names": json.dumps(list(model.expression_names)),
        "landmark_sets": json.dumps(list(model.landmarks)),
        **provenance,
    }
    write_safetensors(
        path, {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}, metadata
    )


def _columns(basis: np.ndarray) -> np.ndarray:
    """(K,S,3) -> (S,3K) half precision: the layout the subdivision matrix multiplies without a copy."""
    return basis.transpose(1, 0, 2).reshape(basis.shape[1], -1).astype(np.float16)


def _sparse_columns(basis: np.ndarray) -> dict[str, np.ndarray]:
    """(E,S,3) as a list of moved vertices per expression; two thirds of the head stay still in most."""
    expression, vertex = np.nonzero(np.abs(basis).max(2) > 1e-3)
    start = np.searchsorted(expression, np.arange(len(basis) + 1))
    return {
        "expression_start": start.astype(np.int32),
        "expression_vertex": vertex.astype(np.int16),
        "expression_delta": basis[expression, vertex].astype(np.float16),
    }


def _quantised(basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scale = np.maximum(np.abs(basis).reshape(len(basis), -1).max(1), 1e-9) / 127.0
    return np.round(basis / scale.reshape(-1, *[1] * (basis.ndim - 1))).astype(np.int8), scale.astype(
        np.float32
    )
