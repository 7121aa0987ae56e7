"""What a result depends on besides the photo: if any of it changes, the result is made anew."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import facewright
from facewright.core.assets import read_manifest, sha256
from facewright.core.errors import AssetError
from facewright.pipeline.settings import BatchSettings, ReconstructionSettings

if TYPE_CHECKING:
    import torch


def made_with(settings: ReconstructionSettings, batch: BatchSettings) -> dict[str, Any]:
    """Versions and settings as JSON values, without what does not change a result (device, force).

    Raises:
        AssetError: the manifest of the shipped files is missing or damaged, or a chosen file is missing.
    """
    choices = {**asdict(settings), "all_faces": batch.all_faces}
    for name, what in (("model", "face model"), ("weights", "weight")):
        if choices[name]:
            choices[name] = _checksum(Path(choices[name]), what)
    return {**version_values(), "settings": choices}


def version_values() -> dict[str, Any]:
    """Version of the package and checksums of the shipped files.

    Raises:
        AssetError: the manifest of the shipped files is missing or damaged.
    """
    assets = {name: entry["sha256"][:16] for name, entry in sorted(read_manifest().items())}
    return {"facewright": facewright.__version__, "assets": assets}


def computed_with(device: "torch.device") -> dict[str, str]:
    """Device and renderer, which say how long a result took but do not change it."""
    from facewright.render.backends import automatic_backend  # torch comes with it

    return {"device": device.type, "renderer": automatic_backend(device.type)}


def _checksum(file: Path, what: str) -> str:
    if not file.is_file():
        raise AssetError(f"expected a {what} file, found nothing at {file}.")
    return sha256(file)[:16]
