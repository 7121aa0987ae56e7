"""Functions that numba compiles: when they are first called, and kept on disk for the next process."""

import logging
from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core.event import Event, Listener, register

from facewright.core.log import logger


def kernel(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function of arrays and numbers for one thread of several, without Python's lock.

    Where no folder can be written, each process compiles anew.

    Args:
        options: of ``numba.njit``.
    """

    def compiled(function: Callable[..., Any]) -> Any:
        dispatcher: Any = njit(nogil=True, **options)(function)
        try:
            dispatcher.enable_caching()
        except RuntimeError:  # "no locator available": neither beside the source nor at the user's
            _word.kept = False
        return dispatcher

    return compiled


def word_is_due() -> bool:
    """Whether it would be told that kernels are compiled, and this process has not said so yet."""
    return not _word.said and logger("kernels").isEnabledFor(logging.INFO)


class _Word(Listener):
    """Says once in a process that it compiles; nothing where all that is called was kept."""

    def __init__(self) -> None:
        self.kept, self.said = True, False

    def on_start(self, event: Event) -> None:
        """A kernel is compiled that no process kept."""
        del event
        if self.said:
            return
        self.said = True
        when = "once" if self.kept else "in each run, as no folder can be written to keep them"
        logger("kernels").info("compiling numerical kernels, %s: up to a minute.", when)

    def on_end(self, event: Event) -> None:
        """Nothing to say."""


_word = _Word()
register("numba:compile", _word)
