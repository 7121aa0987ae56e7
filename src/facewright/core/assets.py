"""Find, verify and read the data files that travel inside the package."""

import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from facewright.core.errors import AssetError
from facewright.core.files import atomic_file

MANIFEST = "manifest.json"
MAX_ASSET_BYTES = 2 << 30
MAX_MANIFEST_BYTES = 1 << 20
MANIFEST_FIELDS = {"sha256": str, "bytes": int, "licence": str, "built_by": str}


def assets_folder() -> Path:
    """Return the folder of the shipped data files."""
    return Path(str(files("facewright").joinpath("assets")))


def asset_path(name: str) -> Path:
    """Return the path of a shipped file whose checksum is that of the manifest.

    Args:
        name: file name inside the package's ``assets`` folder.

    Raises:
        AssetError: the file is missing, not listed in the manifest, or damaged.
    """
    path = assets_folder() / name
    manifest = read_manifest()
    if name not in manifest:
        raise AssetError(f"expected an asset of the manifest ({', '.join(sorted(manifest))}), got {name!r}.")
    if not path.is_file():
        raise AssetError(f"the packaged file {name} is missing: reinstall facewright.")
    if sha256(path) != manifest[name]["sha256"]:
        raise AssetError(f"the packaged file {name} is damaged (its checksum differs): reinstall facewright.")
    return path


def read_manifest() -> dict[str, dict[str, Any]]:
    """Return what the manifest says of each shipped file: sha256, bytes, licence, built_by.

    Raises:
        AssetError: the manifest is missing or damaged.
    """
    path = assets_folder() / MANIFEST
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise ValueError("it is too large")
        manifest = json.loads(path.read_bytes())
        for name, entry in manifest.items():
            if not all(isinstance(entry[key], kind) for key, kind in MANIFEST_FIELDS.items()):
                raise ValueError(f"the entry of {name} is not whole")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        told = f"{type(error).__name__}: {error}"
        raise AssetError(
            f"the packaged file {MANIFEST} is missing or damaged ({told}): reinstall facewright."
        ) from error
    return manifest


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits.

    Raises:
        AssetError: the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        reason = error.strerror or error
        raise AssetError(f"{path} cannot be read ({reason}): check the path and its permissions.") from error


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read all tensors and the text metadata of a safetensors file.

    Args:
        path: the file; at most 2 GiB.

    Returns:
        The tensors by name as stored, and the header's metadata.

    Raises:
        AssetError: the file is missing, too large, or not a whole safetensors file.
    """
    if not path.is_file():
        raise AssetError(f"expected a safetensors file, found nothing at {path}.")
    if path.stat().st_size > MAX_ASSET_BYTES:
        raise AssetError(f"{path} is larger than {MAX_ASSET_BYTES >> 30} GiB: no facewright file is.")
    try:
        with safetensors.safe_open(path, framework="pt") as handle:
            metadata: Mapping[str, str] | None = handle.metadata()
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise AssetError(
            f"{path} is not a whole safetensors file ({error}): fetch or build it again."
        ) from error
    return tensors, dict(metadata or {})


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors and metadata, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # Through memory: where the disk is full, the library's own writer raises no OSError.
    data = safetensors.torch.save(contiguous, metadata=dict(metadata))
    with atomic_file(path) as partial:
        partial.write_bytes(data)


def record_asset(name: str, *, licence: str, built_by: str) -> None:
    """Enter a file of the assets folder into the manifest; the build scripts call this."""
    manifest_path = assets_folder() / MANIFEST
    manifest = read_manifest() if manifest_path.exists() else {}
    path = assets_folder() / name
    manifest[name] = {
        "sha256": sha256(path),
        "bytes": path.stat().st_size,
        "licence": licence,
        "built_by": built_by,
    }
    with atomic_file(manifest_path) as partial:
        partial.write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
