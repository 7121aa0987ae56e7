"""One small pool of Python threads for kernels that release the interpreter lock."""

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from typing import Any

import torch


def thread_count() -> int:
    """Number of threads that kernels may use: torch's own knob (``OMP_NUM_THREADS``, ``set_num_threads``)."""
    return torch.get_num_threads()


def run_tasks(task: Callable[..., None], arguments: Sequence[tuple[Any, ...]]) -> None:
    """Call ``task(*arguments[i])`` for every i, on several threads where torch may use several.

    The calling thread works too, so that no work waits for a thread to wake up. The tasks must write to
    disjoint memory, so that the result does not depend on their order.
    """
    workers = min(thread_count(), len(arguments))
    if workers <= 1:
        for call in arguments:
            task(*call)
        return
    waiting = deque(arguments)

    def work() -> None:
        while True:
            try:
                call = waiting.popleft()
            except IndexError:
                return
            task(*call)

    pool = _pool(os.getpid(), workers - 1)
    others = [pool.submit(work) for _ in range(workers - 1)]
    try:
        work()
    finally:
        # One that has not begun finds nothing left to do.
        started = [other for other in others if not other.cancel()]
        wait(started)
    for other in started:
        other.result()


@lru_cache(maxsize=4)
def _pool(_process: int, workers: int) -> ThreadPoolExecutor:
    # Keyed by the process: a pool made before a fork has no threads in the child.
    return ThreadPoolExecutor(workers, thread_name_prefix="facewright")
