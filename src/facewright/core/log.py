"""One logger for the package; only the command line decides where its lines go."""

import logging
import sys

NAME = "facewright"


def logger(module: str = "") -> logging.Logger:
    """Return the logger of the package, or of one of its modules."""
    return logging.getLogger(f"{NAME}.{module}" if module else NAME)


def log_to_terminal(*, verbose: bool) -> None:
    """Send warnings (all lines if verbose) to the error stream; the command line calls this once.

    That kernels are compiled is told, too: nothing else says what the first run waits for.
    """
    handler = _Lines()
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    package = logger()
    package.handlers[:] = [handler]
    package.setLevel(logging.DEBUG if verbose else logging.WARNING)
    package.propagate = False
    logger("kernels").setLevel(logging.INFO)


class _Lines(logging.Handler):
    """Lines of their own, also while a progress bar is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm  # here: most commands have nothing to say

        try:
            tqdm.write(self.format(record), file=sys.stderr)
            sys.stderr.flush()
        except Exception:
            self.handleError(record)
