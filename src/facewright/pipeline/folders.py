"""The folder of one head: which files belong in it, and how to tell that facewright made it."""

import json
from pathlib import Path

# The last one is written last: it is the sign that a folder is whole and ours.
HEAD_FILES = ("head.glb", "head.obj", "head.mtl", "albedo.png", "overview.png", "parameters.json")
MARKER = HEAD_FILES[-1]
MAX_MARKER_BYTES = 8 << 20


def head_photo(folder: Path) -> str | None:
    """SHA-256 of the photo that a folder's head was made from.

    Returns:
        "" if the head does not know its photo's file, None if the folder is not one that facewright made.
    """
    marker = folder / MARKER
    try:
        if not marker.is_file() or marker.stat().st_size > MAX_MARKER_BYTES:
            return None
        content = json.loads(marker.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    ours = isinstance(content, dict) and isinstance(content.get("format_version"), int)
    if not ours or not isinstance(content.get("facewright_version"), str):
        return None
    notes = content.get("notes")
    digest = notes.get("photo_sha256", "") if isinstance(notes, dict) else ""
    return digest if isinstance(digest, str) else ""


def is_head_folder(folder: Path) -> bool:
    """Whether facewright made a folder, so that it may replace it."""
    return head_photo(folder) is not None


def is_whole(folder: Path, photo_sha256: str) -> bool:
    """Whether a folder has all files of a head that was made from a photo."""
    return head_photo(folder) == photo_sha256 and all((folder / name).is_file() for name in HEAD_FILES)
