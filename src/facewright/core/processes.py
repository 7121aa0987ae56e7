"""Worker processes that do not outlive the process that started them."""

import os
from multiprocessing import parent_process
from multiprocessing.connection import wait
from threading import Thread


def end_with_parent() -> None:
    """Call in a process of ``multiprocessing``: end it as soon as its parent is gone.

    A parent that is killed cannot tell its workers. They would finish what is queued, into a folder in which
    the next run may write already, and then wait for ever.
    """
    parent = parent_process()
    if parent is None:
        raise RuntimeError("expected a process that multiprocessing started.")
    Thread(target=_watch, args=(parent.sentinel,), daemon=True).start()


def _watch(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
