"""Batches of any record of tensors: made ahead in step order, kept when they fail."""

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from facewright.core.errors import FacewrightError, UnavailableError
from facewright.core.kernels import word_is_due
from facewright.core.log import log_to_terminal
from facewright.training.task import Task

AHEAD = 2  # steps that each worker process prepares
ENDED = (
    "a worker process was ended from outside, perhaps for want of memory: run the same command again, with "
    "fewer --workers; it goes on from the last checkpoint."
)


def flattened(value: Any, name: str = "") -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a record by dotted name, and the text of everything else in it."""
    if isinstance(value, Tensor):
        return {name or "batch": value}, {}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    elif isinstance(value, list | tuple):
        parts = {str(number): part for number, part in enumerate(value)}
    elif isinstance(value, dict):
        parts = value
    else:
        return {}, {name or "batch": str(value)}
    tensors: dict[str, Tensor] = {}
    texts: dict[str, str] = {}
    for key, part in parts.items():
        more, told = flattened(part, f"{name}.{key}" if name else str(key))
        tensors |= more
        texts |= told
    return tensors, texts


@dataclass(frozen=True)
class Share:
    """Which parts of each step's batch a process computes.

    Attributes:
        first: of them.
        count: of them, one after the other.
        parts: of the whole step, over all processes.
    """

    first: int
    count: int
    parts: int


def part_of(total: int, part: int, parts: int) -> int:
    """How many of a step's ``total`` samples of a kind are in one of its parts: as even as can be."""
    return total * (part + 1) // parts - total * part // parts


@dataclass(frozen=True)
class _Failure:
    """An error of a worker process: raised by the loop, without the worker's traceback in its text."""

    error: FacewrightError


class _Steps(Dataset):
    """The parts of a process by step."""

    def __init__(self, task: Task, seed: int, share: Share) -> None:
        self.task, self.seed, self.share = task, seed, share

    def __getitem__(self, step: int) -> Any:
        share = self.share
        parts = range(share.first, share.first + share.count)
        try:
            return [self.task.batch(self.seed, step, part, share.parts) for part in parts]
        except FacewrightError as error:
            return _Failure(error)


def _unchanged(value: Any) -> Any:
    return value


def _start(parent: int, due: bool, worker: int) -> None:
    """End a worker whose parent was killed while it started: torch's own watch begins only after this."""
    if os.getppid() != parent:
        os._exit(1)
    if due and worker == 0:  # one for all
        log_to_terminal(verbose=False)


@contextmanager
def lost_workers_told() -> Iterator[None]:
    """Name the cause where a worker process was ended.

    Torch raises it from a signal's handler, so in any line of the main thread: hold all of the loop in this.

    Raises:
        UnavailableError: a worker process was ended.
    """
    try:
        yield
    except RuntimeError as error:
        # Its text is all that tells this error from others, which may derive from the same class.
        if type(error) is RuntimeError and str(error).startswith("DataLoader worker (pid"):
            raise UnavailableError(ENDED) from error
        raise


def batches(task: Task, seed: int, share: Share, steps: range, workers: int) -> Iterator[list[Any]]:
    """The parts of each step in order.

    Args:
        task: makes them.
        seed: of the run.
        share: which of them.
        steps: of the run that are left.
        workers: processes that make them ahead; with 0 the loop waits for each.

    Raises:
        FacewrightError: a batch cannot be made.
        UnavailableError: the queue of a worker broke; ``lost_workers_told`` tells of other ways.
    """
    loader = DataLoader(
        _Steps(task, seed, share),
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        collate_fn=_unchanged,
        # Started afresh: a fork of a process whose libraries have threads may hang.
        multiprocessing_context="spawn" if workers else None,
        prefetch_factor=AHEAD if workers else None,
        worker_init_fn=partial(_start, os.getpid(), word_is_due()),
        generator=torch.Generator(),  # else the loader would draw from the global one
    )
    iterator = iter(loader)
    while True:
        try:
            made = next(iterator)
        except StopIteration:
            return
        except (ConnectionError, EOFError) as error:  # its queue broke before the signal came
            if not workers:
                raise
            raise UnavailableError(ENDED) from error
        if isinstance(made, _Failure):
            raise made.error
        yield made
