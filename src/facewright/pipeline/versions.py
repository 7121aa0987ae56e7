"""What a result depends on besides the photo: if any of it changes, the result is made anew."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import facewright
from facewright.core.assets import read_manifest, sha256
from facewright.core.errors import AssetError
from facewright.pipeline.settings import BatchSettings, ReconstructionSettings


def made_with(settings: ReconstructionSettings, batch: BatchSettings) -> dict[str, Any]:
    """Versions and settings as JSON values, without what does not change a result (device, force).

    Raises:
        AssetError: the manifest of the shipped files is missing or damaged, or a chosen model is missing.
    """
    choices = {**asdict(settings), "all_faces": batch.all_faces}
    if settings.model:
        choices["model"] = _checksum(Path(settings.model))
    return {**version_values(), "settings": choices}


def version_values() -> dict[str, Any]:
    """Version of the package and checksums of the shipped files.

    Raises:
        AssetError: the manifest of the shipped files is missing or damaged.
    """
    assets = {name: entry["sha256"][:16] for name, entry in sorted(read_manifest().items())}
    return {"facewright": facewright.__version__, "assets": assets}


def _checksum(model: Path) -> str:
    if not model.is_file():
        raise AssetError(f"expected a face model file, found nothing at {model}.")
    return sha256(model)[:16]
