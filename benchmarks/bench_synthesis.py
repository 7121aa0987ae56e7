"""Milliseconds of a synthetic photo of 224 px with all its outputs, and samples a second of two processes.

``python -m benchmarks.bench_synthesis``: "sample" is the record in memory, "sample and files" what goes into
a shard. The rasteriser runs in turn with them: on a busy machine it is slower too, by about the same factor.
Where there is a CUDA device, batches on it follow.
"""

import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch

from benchmarks.harness import Timing, interleave, run, show
from facewright.data.protocols import PHOTO_PROTOCOLS
from facewright.data.synthesis import DEVICE_BLOCK, Studio, open_studio, sample_batches, samples
from facewright.models.base import load_base_model
from facewright.pipeline.sample_files import photo_files
from facewright.render.rasterize import rasterize

PROTOCOL = "synthetic-celeba"
BLOCK, PROCESSES = 8, 2
TARGET_MS = 80.0  # of processor time: 25 samples a second on two cores
DEVICE_TARGET_MS = 1000 / 1500  # of an H200


def benchmark(seconds: float) -> list[Timing]:
    """One process by turns, then two at once."""
    torch.set_num_threads(1)
    studio = _studio()
    turn = iter(range(0, 10**9, BLOCK))
    model = studio.model
    vertices = torch.cat([model.mean, model.mean[:0]])[None] * torch.tensor([0.8, -0.8, -1.0]) + 112.0
    vertices[..., 2] += 500.0

    def draw() -> None:
        for _ in range(BLOCK):
            rasterize(vertices, model.topology.faces, (224, 224), perspective=True)

    def make() -> None:
        samples(studio, 0, range(start := next(turn), start + BLOCK))

    def write() -> None:
        for photo in samples(studio, 0, range(start := next(turn), start + BLOCK)):
            photo_files(photo, model)

    timings = interleave(
        "synthetic photo, one process",
        {"rasterise head": draw, "sample": make, "sample and files": write},
        seconds=seconds,
        items=BLOCK,
        targets={"sample": TARGET_MS, "sample and files": TARGET_MS},
    )
    show(timings)
    for files in (False, True):
        rate, processor = _together(seconds, files=files)
        what = "samples and files" if files else "samples"
        print(f"{PROCESSES} processes: {rate:.1f} {what} a second, {processor:.1f} ms processor each")
    return timings + _on_device(seconds)


def _on_device(seconds: float) -> list[Timing]:
    """Batches of a CUDA device; nothing where there is none."""
    if not torch.cuda.is_available():
        print("no CUDA device: nothing was measured on one")
        return []
    studio = _studio("cuda")
    turn = iter(range(0, 10**9, DEVICE_BLOCK))

    def make() -> None:
        next(sample_batches(studio, 0, range(start := next(turn), start + DEVICE_BLOCK)))

    name = f"synthetic photo, CUDA, batch {DEVICE_BLOCK}"
    targets = {"sample": DEVICE_TARGET_MS}
    timings = interleave(name, {"sample": make}, seconds=seconds, items=DEVICE_BLOCK, targets=targets)
    show(timings)
    return timings


def _studio(device: str = "cpu") -> Studio:
    return open_studio(load_base_model().to(device), PHOTO_PROTOCOLS[PROTOCOL].settings)


def _together(seconds: float, *, files: bool) -> tuple[float, float]:
    """Samples a second of all processes together, and milliseconds of processor time for one."""
    context = get_context("spawn")
    with context.Manager() as manager:
        start = manager.Barrier(PROCESSES)
        with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
            jobs = [pool.submit(_worker, start, k, seconds, files) for k in range(PROCESSES)]
            results = [job.result() for job in jobs]
    rate = sum(count / spent for count, spent, _ in results)
    processor = sum(used for *_, used in results) / sum(count for count, *_ in results)
    return rate, 1e3 * processor


def _worker(start: threading.Barrier, number: int, seconds: float, files: bool) -> tuple[int, float, float]:
    torch.set_num_threads(1)
    studio = _studio()
    samples(studio, number, range(BLOCK))
    start.wait()
    clock, used, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - clock < seconds:
        made = samples(studio, number, range(count, count + BLOCK))
        for photo in made if files else ():
            photo_files(photo, studio.model)
        count += BLOCK
    return count, time.perf_counter() - clock, time.process_time() - used


if __name__ == "__main__":
    run(benchmark, __doc__ or "")
