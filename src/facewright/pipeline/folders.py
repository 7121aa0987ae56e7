"""The folder of one result: which files belong in it, and how to tell that facewright made it."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facewright.core.files import atomic_folder, others_in, read_marker

MAX_MARKER_BYTES = 8 << 20


@dataclass(frozen=True)
class ResultFolder:
    """A kind of folder.

    Attributes:
        files: that it has; the last one is written last: it is the sign that a folder is whole and ours.
        digest: the entry of its notes with the SHA-256 of the file that the result was made from.
        extras: further files that it may have.
        by_setting: those of them that it has if a setting in its notes is on.
    """

    files: tuple[str, ...]
    digest: str = "photo_sha256"
    extras: tuple[str, ...] = ()
    by_setting: tuple[tuple[str, str], ...] = ()

    def source(self, folder: Path) -> str | None:
        """SHA-256 of the file that a folder's result was made from.

        Returns:
            "" if the result does not know its file, None if the folder is not one that facewright made.
        """
        return _source(folder / self.files[-1], self.digest)

    def is_ours(self, folder: Path) -> bool:
        """Whether facewright made a folder, so that it may replace its files."""
        return self.source(folder) is not None

    def is_only_ours(self, folder: Path) -> bool:
        """Whether facewright made a folder and nothing else lies in it, so that it may be deleted."""
        return self.is_ours(folder) and not others_in(folder, (*self.files, *self.extras))

    def written(self, folder: Path) -> AbstractContextManager[Path]:
        """``atomic_folder``, in place of an earlier result; files of others that lie beside it stay."""
        return atomic_folder(folder, replaceable=self.is_ours, names=(*self.files, *self.extras))

    def is_whole(self, folder: Path, sha256: str) -> bool:
        """Whether a folder has all files of a result that was made from a file."""
        if self.source(folder) != sha256:
            return False
        settings = _notes(folder / self.files[-1]).get("settings")
        settings = settings if isinstance(settings, dict) else {}
        further = [name for setting, name in self.by_setting if settings.get(setting)]
        return all((folder / name).is_file() for name in (*self.files, *further))


HEAD_FILES = (
    "head.glb",
    "head.obj",
    "head.mtl",
    "albedo.png",
    "specular.png",
    "overview.png",
    "parameters.json",
)
MARKER = HEAD_FILES[-1]
NORMALS = "normal.png"
HEAD = ResultFolder(HEAD_FILES, extras=(NORMALS,), by_setting=(("relief", NORMALS),))
REGISTRATION = ResultFolder(
    ("head.glb", "head.obj", "head.ply", "registration.npz", "overview.png", "registration.json"),
    "scan_sha256",
)


def _source(marker: Path, key: str) -> str | None:
    content = read_marker(marker, MAX_MARKER_BYTES)
    if content is None or not isinstance(content.get("format_version"), int):
        return None
    if not isinstance(content.get("facewright_version"), str):
        return None
    digest = _notes(marker).get(key, "")
    return digest if isinstance(digest, str) else ""


def _notes(marker: Path) -> dict[str, Any]:
    content = read_marker(marker, MAX_MARKER_BYTES)
    notes = content.get("notes") if content is not None else None
    return notes if isinstance(notes, dict) else {}
