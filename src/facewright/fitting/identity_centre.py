"""Which identity is expected of a face before it is seen: the mean of scanned people, not the mean head's.

The mean head of the base model is part sculpture, part scans; its nose and brow lie 1 to 2 mm behind those of
scanned people. A photo from the front does not tell such depths, so a prior about the mean head would give
its profile to everybody.

Nor do a landmarker's points lie on people where they lie on the head that they were placed on. What all
people have in common there is no one's shape: ``placement`` moves the points, and not the face.
"""

from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class ExpectedIdentity:
    """What is expected of anyone, in identity coefficients of a head.

    Attributes:
        centre: of the face.
        placement: by how much another identity the landmarks look that the landmarker sees, on anyone.
        header: of the file.
    """

    centre: Float[Tensor, " K"]
    placement: Float[Tensor, " K"]
    header: dict[str, str]


def load_identity_centre(path: Path | None = None) -> ExpectedIdentity:
    """What ships, or that of ``path``.

    Raises:
        AssetError: the file is missing, damaged or no such centre.
    """
    path = path or asset_path(FILE)
    tensors, header = read_safetensors(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    count = shapes.get("centre", (0,))
    good = (
        shapes == dict.fromkeys(("centre", "placement"), count) and len(count) == 1 and 0 < count[0] <= MOST
    )
    if not good or not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise AssetError(
            f"{path}: expected finite tensors centre and placement (1 to {MOST},), found {shapes}: "
            "reinstall facewright, or make it anew with scripts/fit_identity_centre.py."
        )
    return ExpectedIdentity(tensors["centre"].float(), tensors["placement"].float(), header)


def expected_identity(model: FaceModel) -> ExpectedIdentity | None:
    """What ships if it is of this model; None for others, whose means are their people's.

    Raises:
        AssetError: the file is missing, damaged or no such centre.
    """
    path = asset_path(FILE)
    found = load_identity_centre(path)
    if not is_of(path, found.header, model):
        return None
    if len(found.centre) != model.identity_count:
        raise AssetError(
            f"{path}: expected {model.identity_count} coefficients, one for each of {model.name!r}, found "
            f"{len(found.centre)}: reinstall facewright, or make it anew with scripts/fit_identity_centre.py."
        )
    return replace(found, centre=found.centre.to(model.device), placement=found.placement.to(model.device))
