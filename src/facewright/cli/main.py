"""``facewright``: parse the command line, run a command, turn errors into one line and an exit code."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated

import tyro

import facewright
from facewright.cli.demo import Demo
from facewright.cli.evaluate import Evaluate
from facewright.cli.exit_codes import DONE, INTERRUPTED, SOME_FAILED, USAGE
from facewright.cli.model import Model
from facewright.cli.reconstruct import Reconstruct
from facewright.cli.register import Register
from facewright.cli.synthesize import Synthesize
from facewright.core.errors import FacewrightError
from facewright.core.log import log_to_terminal, logger

DESCRIPTION = "Photographs of a face into a 3D head that can be measured, relit, edited and animated."
Command = (
    Annotated[Reconstruct, tyro.conf.subcommand("reconstruct")]
    | Annotated[Register, tyro.conf.subcommand("register")]
    | Annotated[Demo, tyro.conf.subcommand("demo")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Synthesize, tyro.conf.subcommand("synthesize")]
    | Annotated[Model, tyro.conf.subcommand("model")]
)


def main(arguments: Sequence[str]) -> int:
    """Run one command line (without the program's name) and return the exit code."""
    if list(arguments) in (["--version"], ["-V"]):
        sys.stdout.write(f"facewright {facewright.__version__}\n")
        return DONE
    try:
        command = tyro.cli(
            Command,  # pyright: ignore[reportArgumentType] (a union of classes, which tyro takes)
            args=list(arguments) or ["--help"],
            prog="facewright",
            description=DESCRIPTION,
            config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes),
        )
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else USAGE
    log_to_terminal(verbose=command.debug)
    try:
        return command.run()
    except FacewrightError as error:
        logger("cli").debug("stopped", exc_info=error)
        sys.stderr.write(f"facewright: {error}\n")
        return USAGE
    except KeyboardInterrupt:
        sys.stderr.write(
            "facewright: interrupted; what is finished is kept: run the same command to go on.\n"
        )
        return INTERRUPTED
    except BrokenPipeError:
        return SOME_FAILED


def entry_point() -> None:
    """Run as the console script."""
    # Threads wait without spinning: beside other work, spinning made a photo take four times as long. To be
    # said before torch is imported, and only by the owner of the process.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Being told to stop is an interruption like Ctrl-C: what is half-written is removed on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
