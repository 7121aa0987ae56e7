"""Write files and folders so that a reader sees all of them or nothing; failures are one clear line."""

import errno
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from facewright.core.errors import OutputError

PARTIAL = ".partial"

_REASONS = {
    errno.ENOSPC: "the disk is full: free some space and run again",
    errno.EDQUOT: "your disk quota is used up: free some space and run again",
    errno.EFBIG: "the file would exceed the allowed file size: raise the limit or choose another folder",
    errno.EACCES: "permission denied: choose a folder that you may write to",
    errno.EPERM: "permission denied: choose a folder that you may write to",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder: choose another folder",
    errno.EEXIST: "a file of that name is in the way: remove it or choose another folder",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
    errno.ENOENT: "the folder is gone or cannot be made: choose another folder",
}


@contextmanager
def output_errors(target: Path) -> Iterator[None]:
    """Turn the operating system's errors about a path that is being written into one clear line.

    Raises:
        OutputError: instead of any ``OSError``.
    """
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
        raise OutputError(f"cannot write {target}: {reason}.") from error


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; it becomes ``path`` when the block ends without error.

    Raises:
        OutputError: the file cannot be written; nothing of it stays behind.
    """
    partial = path.with_name(f".{path.name}{PARTIAL}")
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(
    path: Path, *, replaceable: Callable[[Path], bool] | None = None, names: Collection[str] = ()
) -> Iterator[Path]:
    """Give a temporary folder beside ``path``; it becomes ``path`` when the block ends without error.

    Args:
        path: the folder; where it is a link, what the link leads to.
        replaceable: whether a folder with something in it may be replaced; None: never.
        names: files and folders that an earlier result may have, which go with it. Whatever else is in a
            folder that is replaced, and is not written anew, is somebody's own and comes along.

    Raises:
        OutputError: the folder cannot be written, or something is there that must not be replaced; it is
            still there.
    """
    with output_errors(path):
        target = path.resolve()
        partial = target.parent / f".{target.name}{PARTIAL}"
        retired = target.parent / f".{target.name}.replaced{PARTIAL}"
        if retired.is_dir() and not target.exists():
            retired.rename(target)  # a run was killed between the two renames
        _check_replaceable(target, replaceable)
        if retired.is_dir():
            _bring_along(retired, target, names)  # a run was killed after them
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            yield partial
            _check_replaceable(target, replaceable)
            _put_in_place(partial, target, retired)
            _bring_along(retired, target, names)
        except OutputError as error:  # of a file in the folder: name the place that the user knows
            raise OutputError(str(error).replace(str(partial), str(path))) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _check_replaceable(target: Path, replaceable: Callable[[Path], bool] | None) -> None:
    if not target.name:
        raise OutputError(f"cannot write {target}: it is the root of the file system: choose a folder.")
    if not target.exists():
        return
    if not target.is_dir():
        raise OutputError(f"cannot write {target}: a file is in the way: remove it or choose another folder.")
    if any(target.iterdir()) and not (replaceable and replaceable(target)):
        raise OutputError(
            f"cannot write {target}: expected an empty folder or an earlier result of facewright, got other "
            "files: choose another folder."
        )


def _put_in_place(partial: Path, target: Path, retired: Path) -> None:
    """Rename ``partial`` to ``target``; what was there is ``retired`` after that."""
    if target.exists():
        target.rename(retired)
    try:
        partial.rename(target)
    except OSError:
        if retired.exists():
            try:
                retired.rename(target)
            except OSError as error:
                raise OutputError(
                    f"cannot write {target}: the former folder is kept as {retired}."
                ) from error
        raise


def _bring_along(retired: Path, target: Path, names: Collection[str]) -> None:
    """Move what is somebody's own from a folder that was replaced into its successor; the rest is deleted."""
    if retired.is_dir():
        for own in others_in(retired, names):
            if not (target / own).exists():
                (retired / own).rename(target / own)
        shutil.rmtree(retired, ignore_errors=True)


def others_in(folder: Path, names: Collection[str]) -> list[str]:
    """What is in a folder besides files of these names, whole or half written."""
    known = {*names, *(f".{name}{PARTIAL}" for name in names)}
    return sorted(path.name for path in folder.iterdir() if path.name not in known)


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    text = json.dumps(value, indent=1, allow_nan=False) + "\n"
    with atomic_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read_marker(path: Path, max_bytes: int) -> dict[str, Any] | None:
    """The JSON object in a file by which a folder is told to be ours; None for anything else."""
    try:
        if not path.is_file() or path.stat().st_size > max_bytes:
            return None
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Keep other processes that ask the same out of a folder while the block runs.

    Raises:
        OutputError: another process is in it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / f".facewright.lock{PARTIAL}", timeout=0)
    with output_errors(folder):
        try:
            lock.acquire()
        except Timeout:
            raise OutputError(
                f"cannot write {folder}: another run is writing there: wait for it or choose another folder."
            ) from None
    try:
        yield  # an OSError in here need not be about the folder
    finally:
        # Before it is released: whoever waits for it would otherwise hold a name that goes. Windows deletes
        # no open file; there the lock takes its file away itself.
        with suppress(OSError):
            Path(lock.lock_file).unlink()
        lock.release()


def sweep(folder: Path, names: Collection[str]) -> None:
    """Remove what a killed run left in a folder that we alone write to (``only_writer``).

    A result that was about to be replaced comes back where its successor is not there.

    Args:
        folder: of results.
        names: files of a result; a folder with any other file in it is not ours and stays.

    Raises:
        OutputError: the folder cannot be read or written to.
    """
    with output_errors(folder):
        for probe in folder.glob(f".facewright-*{PARTIAL}"):
            probe.unlink(missing_ok=True)
        for left in folder.glob(f".?*{PARTIAL}"):
            if left.is_symlink() or not left.is_dir() or others_in(left, names):
                continue
            target = folder / left.name[1:].removesuffix(PARTIAL).removesuffix(".replaced")
            if left.name == f".{target.name}.replaced{PARTIAL}" and not target.exists():
                left.rename(target)
            else:
                shutil.rmtree(left)


def make_writable_folder(path: Path) -> None:
    """Make a folder if it is not there and prove that files can be written into it.

    Raises:
        OutputError: it cannot be made or written to.
    """
    with output_errors(path):
        if path.exists() and not path.is_dir():
            raise OutputError(f"cannot write {path}: it is a file: give a folder with --out.")
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".facewright-{os.getpid()}{PARTIAL}"
        try:
            probe.write_bytes(b"facewright")
        finally:
            probe.unlink(missing_ok=True)
