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
from pathlib import Path

from benchmarks.harness import Timing, run, show
from facewright.pipeline.portraits import demo_portraits

IMPORT, ONE_PHOTO, FURTHER_PHOTO = "import facewright", "one photo, all files", "each further photo"
TARGET_MS = {IMPORT: 500.0, ONE_PHOTO: 12_000.0, FURTHER_PHOTO: 4_000.0}
THREADS = "2"
FURTHER = 3  # photos beyond the first in the longer run


def benchmark(seconds: float) -> list[Timing]:
    """Time the three waits; ``seconds`` bounds nothing here but the number of repeats (at least 3)."""
    repeats = max(3, round(seconds))
    with tempfile.TemporaryDirectory() as folder:
        photos = _photos(Path(folder))
        imports = [_seconds(["-c", "import facewright"]) for _ in range(repeats)]
        _reconstruct(photos[:1], Path(folder) / "warm")  # compiled kernels go to numba's cache once
        ones, further = [], []
        for index in range(repeats):
            one = _reconstruct(photos[:1], Path(folder) / f"one{index}")
            several = _reconstruct(photos, Path(folder) / f"several{index}")
            ones.append(one)
            further.append((several - one) / FURTHER)
    measured = {IMPORT: imports, ONE_PHOTO: ones, FURTHER_PHOTO: further}
    timings = [_timing(setting, values) for setting, values in measured.items()]
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


def _reconstruct(photos: list[Path], out: Path) -> float:
    return _seconds(["-m", "facewright.cli", "reconstruct", *map(str, photos), "--out", str(out)])


def _seconds(arguments: list[str]) -> float:
    limited = {"OMP_NUM_THREADS": THREADS, "NUMBA_NUM_THREADS": THREADS}
    start = time.perf_counter()
    process = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **limited},
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise SystemExit(f"facewright {' '.join(arguments)} failed:\n{process.stderr}")
    return time.perf_counter() - start


def _timing(setting: str, values: list[float]) -> Timing:
    low, median, high = (1e3 * value for value in statistics.quantiles(values, n=4, method="inclusive"))
    return Timing(setting, "facewright", median, (low, high), len(values), TARGET_MS[setting])


if __name__ == "__main__":
    run(benchmark, "Seconds that a user of the command line waits.")
