"""A small file for models that are the base head with another mean and identity, such as the shipped sphere.

What differs is stored for the vertices of the base head's own file, in half precision; the rest is the base
head's, whose version the file names.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import splu
from threadpoolctl import threadpool_limits
from torch import Tensor

from facewright.core.assets import read_safetensors, write_safetensors
from facewright.core.errors import AssetError
from facewright.models.base import base_subdivision, fine_basis, load_base_model
from facewright.models.checks import MAX_COMPONENTS, check_whole
from facewright.models.face_model import FaceModel

FORMAT = "facewright base variant 1"
TIE = 1e-6  # of the stored vertices to their places, where no working vertex asks for one


def stored_variant(model: FaceModel, base: FaceModel) -> tuple[FaceModel, dict[str, Tensor]]:
    """A model as the file will give it back, and what the file holds.

    Args:
        model: the base head with another mean and identity.
        base: the base head.
    """
    matrix = base_subdivision()
    count = (matrix.shape or (0, 0))[1]
    shift = (model.mean - base.mean)[None]
    moves = torch.cat([shift, model.identity_basis]).transpose(0, 1).flatten(1).double().numpy()
    with threadpool_limits(1):
        normal = (matrix.T @ matrix + TIE * sparse.identity(count)).tocsc()
        columns = torch.from_numpy(splu(normal).solve(np.asarray(matrix.T @ moves))).half()
    held = {"mean": columns[:, :3].clone(), "identity_basis": columns[:, 3:].clone()}
    return _applied(base, matrix, held, model.name, model.version), held


def save_variant(path: Path, held: Mapping[str, Tensor], base: FaceModel, header: Mapping[str, str]) -> None:
    """Write what ``stored_variant`` gave, whole or not at all.

    Args:
        path: the .safetensors file.
        held: tensors; those of a kind of model that knows more may be among them.
        base: the base head.
        header: name and version of the model, and texts of its kind.

    Raises:
        OutputError: the file cannot be written.
    """
    write_safetensors(path, held, {**header, "format": FORMAT, "base_version": base.version})


def load_variant(path: Path, base: FaceModel | None = None) -> FaceModel:
    """Read a model file that ``save_variant`` wrote (float32, CPU).

    Raises:
        AssetError: the file is missing, damaged, or of another version of the base head.
    """
    tensors, header = read_safetensors(path)
    base = base or load_base_model()
    if header.get("format") != FORMAT or header.get("base_version") != base.version:
        raise AssetError(
            f"{path} should be a {FORMAT!r} of the base head's version {base.version}, is a "
            f"{header.get('format')!r} of version {header.get('base_version')}: fetch or make it again."
        )
    try:
        return _applied(base, base_subdivision(), tensors, header["name"], header["version"])
    except (LookupError, ValueError, TypeError, RuntimeError) as error:
        raise AssetError(f"{path} is not a whole face model ({error}): fetch or make it again.") from error


def _applied(
    base: FaceModel, matrix: sparse.csr_matrix, held: Mapping[str, Tensor], name: str, version: str
) -> FaceModel:
    mean, identity = held["mean"].float(), held["identity_basis"].float()
    if mean.shape != ((matrix.shape or (0, 0))[1], 3) or len(identity) != len(mean) or identity.shape[1] % 3:
        raise ValueError(f"a mean of {tuple(mean.shape)} and an identity of {tuple(identity.shape)} numbers")
    if identity.shape[1] > 3 * MAX_COMPONENTS:
        raise ValueError(f"{identity.shape[1] // 3} components are too many")
    shift = torch.from_numpy(matrix @ mean.numpy())
    eyes = torch.stack([shift[base.parts[eye]].mean(0) for eye in ("left_eye", "right_eye")])
    model = replace(
        base,
        name=name,
        version=version,
        mean=base.mean + shift,
        identity_basis=fine_basis(matrix, identity),
        eye_centers=base.eye_centers + eyes,
    )
    check_whole(model)
    return model
