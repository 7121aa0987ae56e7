"""The same work in several processes, its results in the order in which it was asked for."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.synchronize import Lock
from typing import Any, TypeVar

import torch

from facewright.core.errors import UnavailableError
from facewright.core.kernels import word_is_due
from facewright.core.log import log_to_terminal
from facewright.core.processes import end_with_parent

Result = TypeVar("Result")


def made_in_order(
    make: Callable[..., Result], jobs: Sequence[tuple[Any, ...]], workers: int
) -> Iterator[Result]:
    """``make(*job)`` of each job, a few of them ahead.

    Args:
        make: a function of a module, which a process can find by its name.
        jobs: its arguments.
        workers: processes; 1: this one.

    Raises:
        FacewrightError: what ``make`` raises.
        UnavailableError: a process was ended.
    """
    if workers == 1 or len(jobs) <= 1:
        for job in jobs:
            yield make(*job)
        return
    # Started afresh: a fork of a process whose libraries have threads may hang.
    context = get_context("spawn")
    speaker = context.Lock() if word_is_due() else None
    with ProcessPoolExecutor(min(workers, len(jobs)), context, _start, (speaker,)) as pool:
        running: deque[Future[Result]] = deque()
        try:
            for job in jobs:
                running.append(pool.submit(make, *job))
                if len(running) == 2 * workers:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        except BrokenProcessPool as error:
            raise UnavailableError(
                "a worker process was ended from outside, perhaps for want of memory: run the same command "
                "again, with fewer --workers; what is finished is kept."
            ) from error
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _start(speaker: Lock | None) -> None:
    end_with_parent()
    if speaker and speaker.acquire(block=False):  # one for all
        log_to_terminal(verbose=False)
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
