"""What a result depends on besides the photo: if any of it changes, the result is made anew."""

from dataclasses import asdict
from typing import Any

import facewright
from facewright.core.assets import read_manifest
from facewright.pipeline.settings import BatchSettings, ReconstructionSettings


def made_with(settings: ReconstructionSettings, batch: BatchSettings) -> dict[str, Any]:
    """Versions and settings as JSON values, without what does not change a result (device, force).

    Raises:
        AssetError: the manifest of the shipped files is missing or damaged.
    """
    assets = {name: entry["sha256"][:16] for name, entry in sorted(read_manifest().items())}
    choices = {**asdict(settings), "all_faces": batch.all_faces}
    return {"facewright": facewright.__version__, "assets": assets, "settings": choices}
