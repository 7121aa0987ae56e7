"""One logger for the package; only the command line decides where its lines go."""

import logging
import sys
from typing import TextIO

NAME = "facewright"


def logger(module: str = "") -> logging.Logger:
    """Return the logger of the package, or of one of its modules."""
    return logging.getLogger(f"{NAME}.{module}" if module else NAME)


def log_to_terminal(*, verbose: bool, stream: TextIO | None = None) -> None:
    """Send warnings (all lines if verbose) to the error stream; the command line calls this once."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    package = logging.getLogger(NAME)
    package.handlers[:] = [handler]
    package.setLevel(logging.DEBUG if verbose else logging.WARNING)
    package.propagate = False
