"""Many photos into one folder: nothing is done twice, and one bad file never stops the rest."""

import hashlib
import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from facewright.core.errors import (
    FacewrightError,
    HiddenFaceError,
    ImageError,
    NoFaceError,
    OutputError,
    SeveralFacesError,
)
from facewright.core.files import make_writable_folder, only_writer, output_errors, sweep
from facewright.core.lazy import LazySequence
from facewright.core.log import logger
from facewright.core.names import FolderNames
from facewright.core.progress import ProgressBar
from facewright.image.io import Photograph, PhotoLimits, read_photo
from facewright.pipeline.folders import HEAD, ResultFolder
from facewright.pipeline.inputs import PhotoInput, content_digest
from facewright.pipeline.report import REPORT, Entry, Report, Summary
from facewright.pipeline.settings import BatchSettings

# What PyTorch says in a RuntimeError, on a CPU and on CUDA, where Python has MemoryError.
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
MAX_TOLD = 200  # characters of an error that was not foreseen
HELD = 8  # photos of one person that lie in memory; the others are read again whenever they are needed
SETTLED_ERRORS = (
    ImageError.__name__,
    NoFaceError.__name__,
    SeveralFacesError.__name__,
    HiddenFaceError.__name__,
)  # they lie in the photo itself


@runtime_checkable
class Saveable(Protocol):
    """A result that can be written into a folder, whole or not at all."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons to look twice at it, one line each."""
        ...

    def save(self, folder: Path) -> None:
        """Write the files."""


@runtime_checkable
class Engine(Protocol):
    """What turns photos into heads; it may fail for one photo without failing for others."""

    def reconstruct(self, photo: Photograph, *, all_faces: bool) -> Sequence[Saveable]:
        """Heads of one photo, the main face first."""
        ...

    def reconstruct_together(self, photos: Sequence[Photograph]) -> Sequence[Saveable | Exception]:
        """One head, or the reason why there is none, for each photo of one person.

        The photos are read, and the heads may be made, when they are asked for.
        """
        ...


@dataclass(frozen=True)
class InputKind:
    """What a batch is made from and what it makes of it.

    Attributes:
        read: a file into a frozen record with a field ``sha256``, for the engine.
        max_bytes: of a file.
        folder: of a result.
        digest: of all that a result is made from, for a file and ``max_bytes``; "" if it cannot be told.
        faceless: names without suffix that tell nothing of a face: if several inputs have one of them, as in
            ``anne/scan.obj`` and ``ben/scan.obj``, results are called as the folders of their inputs.
    """

    read: Callable[[Path], Any]
    max_bytes: int
    folder: ResultFolder
    digest: Callable[[Path, int], str] = content_digest
    faceless: tuple[str, ...] = ()


PHOTOS = InputKind(read_photo, PhotoLimits().max_bytes, HEAD)


@dataclass(frozen=True)
class _Task:
    photo: PhotoInput
    digest: str
    folder: str
    made_with: Mapping[str, Any]


def run_batch(
    photos: Sequence[PhotoInput],
    out: Path,
    engine: Callable[[], Engine],
    settings: BatchSettings,
    made_with: Mapping[str, Any],
    *,
    progress: bool = True,
    kind: InputKind = PHOTOS,
    computed_on: Mapping[str, str] | None = None,
) -> Summary:
    """Reconstruct the photos that are not done yet into ``out``, one folder a head, and report on each.

    Args:
        photos: from ``expand_inputs``.
        out: the output folder; made if it is not there.
        engine: makes the engine when the first photo needs it, since loading it takes seconds.
        settings: of the run.
        made_with: versions and settings (JSON values) that a result depends on.
        progress: False draws no bar and prints no lines.
        kind: of input and result; ``together`` is for photos only.
        computed_on: device and renderer, for the report.

    Returns:
        How many were done; ``report_problem`` says that the results are there but the report is not.

    Raises:
        OutputError: the output folder cannot be written, or another run is writing there.
    """
    make_writable_folder(out)
    with only_writer(out), ProgressBar(len(photos), shown=progress) as bar:
        sweep(out, kind.folder.files)
        run = _Run(out, engine, settings, made_with, bar if progress else None, kind)
        run.computed_on = computed_on or {}
        try:
            summary = run(photos)
        finally:  # of an interruption, too
            run.write_report()
    return replace(summary, report_problem=run.report_problem)


class _Run:
    def __init__(
        self,
        out: Path,
        engine: Callable[[], Engine],
        settings: BatchSettings,
        made_with: Mapping[str, Any],
        bar: ProgressBar | None,
        kind: InputKind,
    ) -> None:
        self.kind = kind
        self.out, self.settings, self.made_with, self.bar = out, settings, made_with, bar
        self.report = Report(out)
        self.report_problem = ""
        self.computed_on: Mapping[str, str] = {}
        with output_errors(out):
            present = [path.name for path in out.iterdir()]
        self._names = FolderNames([REPORT, *self._listed()], present)
        self._make_engine = engine
        self._engine: Engine | FacewrightError | None = None

    def __call__(self, photos: Sequence[PhotoInput]) -> Summary:
        tasks = self._plan(photos)
        finished = set() if self.settings.force else {t.photo.key for t in tasks if self._is_done(t)}
        if self.settings.together and len(finished) < len(tasks):
            if not self.settings.force and all(self._is_settled(task, finished) for task in tasks):
                return self._retold(tasks)
            finished = set()
        pending = [task for task in tasks if task.photo.key not in finished]
        for _ in finished:
            self._advance()
        work = self._all_together if self.settings.together else self._one_by_one
        failed = work(pending)
        return Summary(len(pending) - failed, len(finished), failed)

    # Planning

    def _listed(self) -> list[str]:
        return [name for entry in self.report.entries.values() for name in entry.folders]

    def _plan(self, photos: Sequence[PhotoInput]) -> list[_Task]:
        limit = self.kind.max_bytes
        digests = []
        for photo in photos:
            if self.bar:
                self.bar.name(f"looking at {photo.path.name}")
            digests.append("" if photo.problem else self.kind.digest(photo.path, limit))
        made_with = dict(self.made_with)
        if self.settings.together:
            group = "\n".join(sorted(digest for digest in digests if digest))
            made_with["together"] = hashlib.sha256(group.encode()).hexdigest()
        stems = Counter(photo.path.stem for photo in photos)
        tasks = []
        for photo, digest in zip(photos, digests, strict=True):
            name = photo.path.stem
            if stems[name] > 1 and name in self.kind.faceless:
                name = photo.path.resolve().parent.name
            folder = self._folder(photo.key, digest, 0, name)
            tasks.append(_Task(photo, digest, folder, made_with))
        return tasks

    def _folder(self, key: str, digest: str, index: int, wanted: str) -> str:
        """The folder of an input's face: the one it had, or a new one, or one whose report was lost."""
        earlier = self.report.entries.get(key)
        if earlier and index < len(earlier.folders):
            known = self.out / earlier.folders[index]
            if not known.exists() or self.kind.folder.is_ours(known):
                return known.name
        return self._names.claim(
            wanted, lambda name: bool(digest) and self.kind.folder.source(self.out / name) == digest
        )

    def _is_done(self, task: _Task) -> bool:
        entry = self.report.entries.get(task.photo.key)
        return (
            entry is not None
            and entry.status == "done"
            and entry.photo_sha256 == task.digest
            and entry.made_with == task.made_with
            and all(self.kind.folder.is_whole(self.out / name, task.digest) for name in entry.folders)
        )

    def _is_settled(self, task: _Task, finished: Collection[str]) -> bool:
        """Done, or failed in the same group of photos: doing it again would give the same."""
        entry = self.report.entries.get(task.photo.key)
        same = entry is not None and entry.made_with == task.made_with and entry.photo_sha256 == task.digest
        return same and (task.photo.key in finished or (entry is not None and entry.error in SETTLED_ERRORS))

    def _retold(self, tasks: Sequence[_Task]) -> Summary:
        entries = [self.report.entries[task.photo.key] for task in tasks]
        for entry in entries:
            if entry.status == "failed":
                self._finish(entry)
            else:
                self._advance()
        failed = sum(entry.status == "failed" for entry in entries)
        return Summary(0, len(entries) - failed, failed)

    # Working

    def _one_by_one(self, tasks: Sequence[_Task]) -> int:
        failed = 0
        for task in tasks:
            start = time.perf_counter()
            try:
                photo = self._read(task)
                heads = self._loaded().reconstruct(photo, all_faces=self.settings.all_faces)
                entry = self._save(task, heads, start)
            except Exception as error:
                entry = self._failure(task, error, start)
            failed += entry.status == "failed"
            self._finish(entry)
        return failed

    def _all_together(self, tasks: Sequence[_Task]) -> int:
        first: list[Photograph] = []
        readable: list[tuple[_Task, float]] = []
        failed = 0
        for task in tasks:
            start = time.perf_counter()
            try:
                photo = self._read(task)
                first += [photo] * (len(first) < HELD)
                readable.append((task, time.perf_counter() - start))
            except Exception as error:
                failed += 1
                self._finish(self._failure(task, error, start))
        start = time.perf_counter()
        results: Sequence[Saveable | Exception] = []
        photos = LazySequence(
            len(readable), lambda index: first[index] if index < HELD else self._read(readable[index][0])
        )
        try:
            if readable:
                results = self._loaded().reconstruct_together(photos)
        except Exception as error:
            results = [error] * len(readable)
        share = (time.perf_counter() - start) / max(1, len(readable))
        for number, (task, spent) in enumerate(readable):
            start = time.perf_counter() - spent - share
            try:
                result = results[number]
                if isinstance(result, Exception):
                    raise result
                entry = self._save(task, [result], start)
            except Exception as error:
                entry = self._failure(task, error, start)
            failed += entry.status == "failed"
            self._finish(entry)
        return failed

    def _loaded(self) -> Engine:
        if self._engine is None:
            try:
                self._engine = self._make_engine()
            except FacewrightError as error:
                self._engine = error  # it takes seconds to find out again
        if isinstance(self._engine, FacewrightError):
            raise self._engine
        return self._engine

    def _read(self, task: _Task) -> Any:
        if task.photo.problem:
            raise task.photo.problem
        if self.bar:
            self.bar.name(task.photo.path.name)
        return replace(self.kind.read(task.photo.path), sha256=task.digest)

    def _save(self, task: _Task, heads: Sequence[Saveable], start: float) -> Entry:
        saved: list[str] = []
        fresh: list[Path] = []
        try:
            for index, head in enumerate(heads):
                wanted = f"{task.folder}_face{index + 1}"
                name = self._folder(task.photo.key, task.digest, index, wanted) if index else task.folder
                folder = self.out / name
                if not folder.exists():
                    fresh.append(folder)
                head.save(folder)
                saved.append(name)
        except BaseException:
            for folder in fresh:  # half of an input's faces are no result; those of an earlier run are
                shutil.rmtree(folder, ignore_errors=True)
            raise
        for name in self._left(task):
            if name not in saved and self.kind.folder.is_only_ours(self.out / name):
                shutil.rmtree(self.out / name, ignore_errors=True)
        told = [(index, warning) for index, head in enumerate(heads) for warning in head.warnings]
        warnings = [f"face {index + 1}: {text}" if len(heads) > 1 else text for index, text in told]
        return replace(self._entry(task, start), folders=tuple(saved), warnings=tuple(warnings))

    def _left(self, task: _Task) -> tuple[str, ...]:
        """Folders that an earlier run made for an input and that are still there."""
        earlier = self.report.entries.get(task.photo.key)
        names = earlier.folders if earlier else ()
        return tuple(name for name in names if self.kind.folder.is_ours(self.out / name))

    def _entry(self, task: _Task, start: float) -> Entry:
        return Entry(
            input=str(task.photo.path),
            path=task.photo.key,
            status="done",
            seconds=round(time.perf_counter() - start, 3),
            photo_sha256=task.digest,
            made_with=task.made_with,
            computed_on=self.computed_on,
        )

    def _failure(self, task: _Task, error: Exception, start: float) -> Entry:
        if isinstance(error, FacewrightError):
            reason = str(error)
        elif _is_out_of_memory(error):
            reason = "not enough memory for this file: make it smaller, or close other programs."
        else:
            told = f"{type(error).__name__}: {error}"[:MAX_TOLD]
            reason = f"internal error ({told}): please report it; --debug shows more."
        logger("pipeline").debug("%s failed", task.photo.path, exc_info=error)
        line = " ".join(reason.split())
        left = self._left(task)
        return replace(
            self._entry(task, start), status="failed", folders=left, error=type(error).__name__, reason=line
        )

    def _finish(self, entry: Entry) -> None:
        if self.bar:
            where = ", ".join(str(self.out / name) for name in entry.folders)
            told = f"{entry.input}: {where}" if entry.status == "done" else f"{entry.input}: {entry.reason}"
            self.bar.line(f"{entry.status}  {told}")
            for warning in entry.warnings:
                self.bar.line(f"note  {entry.input}: {warning}")
        self._reported(lambda: self.report.record(entry))
        self._advance()

    def write_report(self) -> None:
        """Write what the report does not have yet; that it cannot be written is kept as a problem."""
        self._reported(self.report.finish)

    def _reported(self, write: Callable[[], None]) -> None:
        try:
            write()
            self.report_problem = ""
        except OutputError as error:
            self.report_problem = str(error)

    def _advance(self) -> None:
        if self.bar:
            self.bar.advance()


def _is_out_of_memory(error: Exception) -> bool:
    told = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in told for words in OUT_OF_MEMORY)
    )
