"""How long stages take, and a progress bar that is silent where nobody watches."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType


class StageClock:
    """Seconds spent in named stages; a stage entered twice adds up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of a block under a name."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


class ProgressBar:
    """A bar on the error stream, drawn only if that is a terminal.

    Args:
        total: number of steps.
        shown: False never draws; True draws if the error stream is a terminal.
        unit: what a step is.
        start: steps that were done before.
    """

    def __init__(self, total: int, *, shown: bool = True, unit: str = "photo", start: int = 0) -> None:
        from tqdm import tqdm  # here: importing a module does no work that a library user did not ask for

        quiet = not (shown and sys.stderr.isatty())
        self._bar = tqdm(
            total=total, initial=start, disable=quiet, unit=unit, leave=False, dynamic_ncols=True
        )

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def name(self, text: str) -> None:
        """Show what is being worked on."""
        self._bar.set_description(text, refresh=True)

    def note(self, text: str) -> None:
        """Show a figure behind the bar."""
        self._bar.set_postfix_str(text, refresh=False)

    def advance(self) -> None:
        """Count one step as done."""
        self._bar.update(1)

    def line(self, text: str) -> None:
        """Print one line to the error stream without breaking the bar, whatever a file's name has in it."""
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
        if self._bar.disable:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
        else:
            self._bar.write(text, file=sys.stderr)
