"""Seconds that a user waits: import, first photo from process start to all files, each further photo.

Every candidate is a process of its own, as a user starts it; the machine's caches are warm after the first.
``python -m benchmarks.bench_cli``
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Timing, run, show
from facewright.pipeline.portraits import demo_portraits

IMPORT, ONE_PHOTO, FURTHER_PHOTO = "import facewright", "one photo, all files", "each further photo"
TARGET_MS = {IMPORT: 500.0, ONE_PHOTO: 12_000.0, FURTHER_PHOTO: 4_000.0}
THREADS = "2"
FURTHER = 3  # photos beyond the first in the longer run


@dataclass(frozen=True)
class Wait:
    """Seconds by the clock, and seconds of processor time, which other work on the machine hardly changes."""

    clock: float
    processor: float


def benchmark(seconds: float) -> list[Timing]:
    """Time the three waits; ``seconds`` bounds nothing here but the number of repeats (at least 3)."""
    repeats = max(3, round(seconds))
    waits: dict[str, list[Wait]] = {IMPORT: [], ONE_PHOTO: [], FURTHER_PHOTO: []}
    with tempfile.TemporaryDirectory() as folder:
        photos = _photos(Path(folder))
        _reconstruct(photos[:1], Path(folder) / "warm")  # compiled kernels go to numba's cache once
        for index in range(repeats):
            waits[IMPORT].append(_wait(["-c", "import facewright"]))
            one = _reconstruct(photos[:1], Path(folder) / f"one{index}")
            several = _reconstruct(photos, Path(folder) / f"several{index}")
            clock, processor = several.clock - one.clock, several.processor - one.processor
            waits[ONE_PHOTO].append(one)
            waits[FURTHER_PHOTO].append(Wait(clock / FURTHER, processor / FURTHER))
    timings = [_timing(setting, values) for setting, values in waits.items()]
    show(timings)
    return timings


def _photos(folder: Path) -> list[Path]:
    """The portraits in turn, each under names of its own."""
    links = []
    for index in range(1 + FURTHER):
        source = list(demo_portraits().values())[index % 2]
        link = folder / f"photo{index}{source.suffix}"
        link.write_bytes(source.read_bytes())
        links.append(link)
    return links


def _reconstruct(photos: list[Path], out: Path) -> Wait:
    return _wait(["-m", "facewright.cli", "reconstruct", *map(str, photos), "--out", str(out)])


def _wait(arguments: list[str]) -> Wait:
    limited = {"OMP_NUM_THREADS": THREADS, "NUMBA_NUM_THREADS": THREADS}
    before, start = os.times(), time.perf_counter()
    process = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **limited},
        capture_output=True,
        text=True,
        check=False,
    )
    clock, after = time.perf_counter() - start, os.times()
    if process.returncode:
        raise SystemExit(f"python {' '.join(arguments)} failed:\n{process.stderr}")
    user, system = after.children_user - before.children_user, after.children_system - before.children_system
    return Wait(clock, user + system)


def _timing(setting: str, waits: list[Wait]) -> Timing:
    clock = [1e3 * wait.clock for wait in waits]
    low, median, high = statistics.quantiles(clock, n=4, method="inclusive")
    processor = statistics.median(1e3 * wait.processor for wait in waits)
    return Timing(
        setting, "facewright", median, (low, high), len(waits), TARGET_MS[setting], processor=processor
    )


if __name__ == "__main__":
    run(benchmark, "Seconds that a user of the command line waits.")
