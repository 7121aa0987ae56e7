"""How a timing is taken: warm-up, candidates interleaved, median and quartiles, JSON with the environment.

Candidates take turns in one process, so that a busy machine disturbs all of them alike; ratios carry over to
other machines, milliseconds do not.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

from facewright.core.files import write_json


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one candidate in one setting.

    Attributes:
        setting: what was timed ("10k vertices, 224 px, batch 1").
        candidate: who was timed ("numba", "torch").
        median: milliseconds (per item, where the benchmark says so).
        quartiles: 25th and 75th percentile.
        repeats: number of timed calls.
        target: milliseconds that the design asks for, if it does.
        processor: median milliseconds of processor time, all threads: what a busy machine disturbs least.
    """

    setting: str
    candidate: str
    median: float
    quartiles: tuple[float, float]
    repeats: int
    target: float | None = None
    processor: float = float("nan")


def interleave(
    setting: str,
    candidates: Mapping[str, Callable[[], object]],
    *,
    seconds: float = 2.0,
    items: int = 1,
    targets: Mapping[str, float] | None = None,
) -> list[Timing]:
    """Time candidates in turn until ``seconds`` have passed for each, at least 3 calls after 2 to warm up.

    Args:
        setting: what is timed.
        candidates: calls by name; each must finish its work before it returns.
        seconds: time budget a candidate.
        items: divide the times by this (images in a batch).
        targets: design figures in ms by candidate.
    """
    for call in candidates.values():
        for _ in range(2):
            call()
            _finish()
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
    active = set(candidates)
    while active:
        for name in [n for n in candidates if n in active]:
            start, busy = time.perf_counter(), time.process_time()
            candidates[name]()
            _finish()
            wall, used = time.perf_counter() - start, time.process_time() - busy
            samples[name].append((wall * 1e3 / items, used * 1e3 / items))
            if len(samples[name]) >= 3 and sum(s[0] for s in samples[name]) * items >= seconds * 1e3:
                active.discard(name)
    return [_timing(setting, name, samples[name], (targets or {}).get(name)) for name in candidates]


def show(timings: Sequence[Timing]) -> None:
    """Print timings, one line each; the ratio is of processor times to the setting's first candidate."""
    first: dict[str, float] = {}
    for timing in timings:
        base = first.setdefault(timing.setting, timing.processor)
        low, high = timing.quartiles
        target = "" if timing.target is None else f"  design {timing.target:g}"
        print(
            f"{timing.setting:44} {timing.candidate:16} {timing.median:9.2f} ms "
            f"({low:.2f}-{high:.2f}, n={timing.repeats})  processor {timing.processor:.2f} ms "
            f"({timing.processor / base:.2f}x){target}",
            flush=True,
        )


def environment() -> dict[str, object]:
    """What a timing depends on: processor, threads, load, versions."""
    names = ("facewright", "torch", "numba", "numpy", "onnxruntime", "scipy")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in names},
    }


def write(path: Path, timings: Sequence[Timing]) -> None:
    """Write timings and environment as JSON, whole or not at all."""
    write_json(path, {"environment": environment(), "timings": [asdict(timing) for timing in timings]})


def run(benchmark: Callable[[float], list[Timing]], description: str) -> None:
    """Command line of a benchmark: ``--seconds`` a candidate, ``--out`` a JSON file."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seconds", type=float, default=2.0, help="time budget a candidate and setting")
    parser.add_argument("--out", type=Path, default=None, help="write the timings here as JSON")
    options = parser.parse_args()
    print(json.dumps(environment()))
    timings = benchmark(options.seconds)
    if options.out is not None:
        write(options.out, timings)


def _timing(setting: str, name: str, samples: list[tuple[float, float]], target: float | None) -> Timing:
    wall, used = np.array(samples).T
    low, median, high = np.percentile(wall, [25, 50, 75]).tolist()
    return Timing(setting, name, median, (low, high), len(samples), target, float(np.median(used)))


def _finish() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
