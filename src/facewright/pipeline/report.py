"""``report.json``: what became of each input, and where its results are."""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import facewright
from facewright.core.files import write_json
from facewright.core.log import logger

REPORT = "report.json"
FORMAT = "facewright-report"
FORMAT_VERSION = 1
MAX_BYTES = 256 << 20
WRITING_PAUSE = 20  # times as long as writing the report took


@dataclass(frozen=True)
class Entry:
    """What became of one input.

    Attributes:
        input: the path as the user gave it.
        path: the absolute path.
        status: done or failed.
        folders: where the heads are, one folder a face, relative to the report; the main face first. Of
            an input that failed: what an earlier run left there.
        error: class of the error if it failed.
        reason: one line that says why it failed.
        seconds: time spent on it; work on several photos at once is divided among them.
        photo_sha256: of the file that was read.
        made_with: versions and settings; other ones make another result.
        warnings: reasons to look twice at the heads and what was inferred about an input, one line each.
        computed_on: device and renderer; other ones make the same result.
    """

    input: str
    path: str
    status: Literal["done", "failed"]
    folders: tuple[str, ...] = ()
    error: str | None = None
    reason: str | None = None
    seconds: float = 0.0
    photo_sha256: str = ""
    made_with: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    computed_on: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """How many inputs were done now, skipped because they were done before, and failed.

    Attributes:
        done: now.
        skipped: because they were done before.
        failed: for any reason.
        report_problem: why the report could not be written, or "".
    """

    done: int = 0
    skipped: int = 0
    failed: int = 0
    report_problem: str = ""


class Report:
    """The entries of an output folder, in the order in which inputs first came."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self.entries = read_report(folder)
        self._clock, self._due = clock, -math.inf
        self._unwritten = False

    def record(self, entry: Entry) -> None:
        """Add or replace the entry of an input, and write the report if it has not just been written.

        It is written whole, which takes the longer the more entries it has: never more than a twentieth of
        the time goes into it. ``finish`` writes what is left.

        Raises:
            OutputError: the report cannot be written; the entry is kept and written with the next one.
        """
        self.entries[entry.path] = entry
        self._unwritten = True
        start = self._clock()
        if start >= self._due:
            try:
                self.finish()
            finally:
                end = self._clock()
                self._due = end + WRITING_PAUSE * (end - start)

    def finish(self) -> None:
        """Write the report if it lacks an entry.

        Raises:
            OutputError: it cannot be written.
        """
        if not self._unwritten:
            return
        listed = [asdict(item) for item in self.entries.values()]
        content = {"format": FORMAT, "format_version": FORMAT_VERSION, "facewright": facewright.__version__}
        write_json(self.folder / REPORT, {**content, "inputs": listed})
        self._unwritten = False


def read_report(folder: Path) -> dict[str, Entry]:
    """Entries of an earlier run by their paths; a report that is damaged is said aloud and made anew."""
    path = folder / REPORT
    if not path.exists():
        return {}
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("too large")
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT or content["format_version"] != FORMAT_VERSION:
            raise ValueError(f"another format ({content['format']} {content['format_version']})")
        entries = [_entry(item) for item in content["inputs"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        logger("pipeline").warning("%s cannot be used (%s): it counts as empty.", path, error)
        return {}
    return {entry.path: entry for entry in entries}


def _entry(item: Mapping[str, Any]) -> Entry:
    told = {"folders": tuple(item["folders"]), "warnings": tuple(item.get("warnings", ()))}
    entry = Entry(**{**item, **told})
    if not isinstance(entry.path, str) or entry.status not in ("done", "failed"):
        raise ValueError("an entry without path or status")
    for name in entry.folders:
        if not isinstance(name, str) or Path(name).name != name or name in ("", ".", ".."):
            raise ValueError(f"a folder named {name!r}")
    return entry
