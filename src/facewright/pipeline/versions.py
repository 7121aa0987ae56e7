"""What a result depends on besides the photo: if any of it changes, the result is made anew."""

from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import facewright
from facewright.core.assets import read_manifest, sha256
from facewright.core.errors import AssetError
from facewright.pipeline.methods import METHODS
from facewright.pipeline.settings import BatchSettings, ReconstructionSettings

if TYPE_CHECKING:
    import torch


HEAD = "base_head.safetensors"
FINDER = (
    "detector.safetensors",
    "landmarker_first.safetensors",
    "landmarker_second.safetensors",
    "landmarker_eyes.safetensors",
)
CENTRE = "identity_centre.safetensors"
OF_LANDMARKS = (
    "landmark_errors.safetensors",
    "landmark_expressions.safetensors",
)
SEGMENTATION = "segmentation.safetensors"
GLASSES = "glasses.safetensors"


def made_with(
    settings: ReconstructionSettings, batch: BatchSettings, mediapipe: Path | None = None
) -> dict[str, Any]:
    """Versions and settings as JSON values, without what does not change a result (device, force).

    Args:
        settings: of the reconstruction.
        batch: of the run.
        mediapipe: the model that finds faces in place of the shipped networks.

    Raises:
        AssetError: the manifest of the shipped files is missing or damaged, or a chosen file is missing.
    """
    choices = {**asdict(settings), "all_faces": batch.all_faces}
    for name, what in (("model", "face model"), ("weights", "weight")):
        if choices[name]:
            choices[name] = _checksum(Path(choices[name]), what)
    told = {**version_values(_read_by(settings, mediapipe is None)), "settings": choices}
    return told if mediapipe is None else {**told, "mediapipe": _checksum(mediapipe, "MediaPipe model")}


def _read_by(settings: ReconstructionSettings, shipped_finder: bool) -> list[str]:
    """The shipped files that a reconstruction reads; others may change without changing it."""
    method = METHODS[settings.method]
    asset = method.asset
    read = {
        HEAD: not settings.model or bool(asset),  # faces of a network may be carried into the model
        **dict.fromkeys(FINDER, shipped_finder),
        **dict.fromkeys(OF_LANDMARKS, True),
        CENTRE: not method.about_mean,
        SEGMENTATION: settings.uncover or settings.hair,
        GLASSES: settings.uncover and settings.glasses,
        asset: bool(asset) and not settings.weights,
    }
    return [name for name, needed in read.items() if needed]


def version_values(assets: Collection[str] | None = None) -> dict[str, Any]:
    """Version of the package and checksums of shipped files, of all if none are named.

    Raises:
        AssetError: the manifest of the shipped files is missing or damaged.
    """
    told = {
        name: entry["sha256"][:16]
        for name, entry in sorted(read_manifest().items())
        if assets is None or name in assets
    }
    return {"facewright": facewright.__version__, "assets": told}


def computed_with(device: "torch.device") -> dict[str, str]:
    """Device and renderer, which say how long a result took but do not change it."""
    from facewright.render.backends import automatic_backend  # torch comes with it

    return {"device": device.type, "renderer": automatic_backend(device.type)}


def _checksum(file: Path, what: str) -> str:
    if not file.is_file():
        raise AssetError(f"expected a {what} file, found nothing at {file}.")
    return sha256(file)[:16]
