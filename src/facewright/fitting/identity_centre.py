"""Which identity is expected of a face before it is seen: the mean of scanned people, not the mean head's.

The mean head of the base model is part sculpture, part scans; its nose and brow lie 1 to 2 mm behind those of
scanned people. A photo from the front does not tell such depths, so a prior about the mean head would give
its profile to everybody.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.core.assets import asset_path, read_safetensors
from facewright.core.errors import AssetError
from facewright.models.face_model import FaceModel
from facewright.models.told_head import is_of

FILE = "identity_centre.safetensors"
MOST = 1000  # coefficients


def load_identity_centre(path: Path | None = None) -> tuple[Float[Tensor, " K"], dict[str, str]]:
    """The centre that ships, or that of ``path``, in standard deviations, and the header of its file.

    Raises:
        AssetError: the file is missing, damaged or no such centre.
    """
    path = path or asset_path(FILE)
    tensors, header = read_safetensors(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    good = list(shapes) == ["centre"] and len(shapes["centre"]) == 1 and 0 < shapes["centre"][0] <= MOST
    if not good or not bool(torch.isfinite(tensors["centre"]).all()):
        raise AssetError(
            f"{path}: expected one finite tensor centre (1 to {MOST},), found {shapes}: "
            "reinstall facewright, or make it anew with scripts/fit_identity_centre.py."
        )
    return tensors["centre"].float(), header


def expected_identity(model: FaceModel) -> Float[Tensor, " K"] | None:
    """The shipped centre if it is one of this model's; None for others, whose means are their people's.

    Raises:
        AssetError: the file is missing, damaged or no such centre.
    """
    path = asset_path(FILE)
    centre, header = load_identity_centre(path)
    if not is_of(path, header, model):
        return None
    if len(centre) != model.identity_count:
        raise AssetError(
            f"{path}: expected {model.identity_count} coefficients, one for each of {model.name!r}, found "
            f"{len(centre)}: reinstall facewright, or make it anew with scripts/fit_identity_centre.py."
        )
    return centre.to(model.device)
