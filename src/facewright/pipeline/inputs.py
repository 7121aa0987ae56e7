"""From what a user names to photos."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from facewright.core.errors import ImageError, InputError

# HEIC cannot be read, but iPhones write it: better one line that says so than to pass it over.
_KINDS = "jpg jpeg jpe jfif mpo png webp avif tif tiff bmp gif jp2 j2k ppm pgm pnm tga heic"
PHOTO_SUFFIXES = frozenset(f".{kind}" for kind in _KINDS.split())


@dataclass(frozen=True)
class PhotoInput:
    """One photo, or a name that led to none.

    Attributes:
        path: as the user gave it, or below the folder that the user gave.
        problem: why there is no photo to read, or None.
    """

    path: Path
    problem: InputError | None = None

    @property
    def key(self) -> str:
        """The same for the same file however it is named."""
        try:
            return str(self.path.resolve())
        except (OSError, ValueError, RuntimeError):  # a name that no file can have, or a circle of links
            return str(self.path.absolute())


def expand_inputs(
    paths: Sequence[Path], suffixes: Collection[str] = PHOTO_SUFFIXES, what: str = "photos"
) -> list[PhotoInput]:
    """List the photos that files and folders stand for: folders in name order, each file once.

    A name without a photo behind it is kept, with its problem, so that it is reported like any other failure.

    Args:
        paths: files and folders.
        suffixes: what the names of files that are taken from a folder end with, in lower case.
        what: they are, for messages.
    """
    found: dict[str, PhotoInput] = {}
    for path in paths:
        for photo in _expand(path, suffixes, what):
            found.setdefault(photo.key, photo)
    return list(found.values())


def _expand(path: Path, suffixes: Collection[str], what: str) -> list[PhotoInput]:
    try:
        if path.is_dir():
            photos = sorted(child for child in path.iterdir() if _is_wanted(child, suffixes))
            if not photos:
                kinds = ".jpg, .png or the like" if suffixes is PHOTO_SUFFIXES else " ".join(sorted(suffixes))
                problem = ImageError(f"the folder {path} has no {what}: expected {kinds} in it.")
                return [PhotoInput(path, problem)]
            return [PhotoInput(photo) for photo in photos]
        if not path.exists():
            return [PhotoInput(path, ImageError(f"there is no file or folder {path}: check the path."))]
        if not path.is_file():  # reading a pipe or a device may never end
            return [PhotoInput(path, ImageError(f"{path} is a pipe or device: expected a file."))]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return [PhotoInput(path, ImageError(f"{path} cannot be read ({reason})."))]
    return [PhotoInput(path)]


def _is_wanted(path: Path, suffixes: Collection[str]) -> bool:
    return path.name.lower().endswith(tuple(suffixes)) and not path.name.startswith(".") and path.is_file()


def content_digest(path: Path, max_bytes: int) -> str:
    """SHA-256 of a file's bytes, or "" if it is no file or too large (reading it as a photo says why)."""
    try:
        if not path.is_file() or path.stat().st_size > max_bytes:
            return ""
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""
