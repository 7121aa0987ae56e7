"""``facewright``: parse the command line, run a command, turn errors into one line and an exit code."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import tyro

import facewright
from facewright.cli.demo import Demo
from facewright.cli.evaluate import Evaluate
from facewright.cli.exit_codes import DONE, INTERRUPTED, SOME_FAILED, USAGE
from facewright.cli.identity import Identify, Verify
from facewright.cli.interpolate import Interpolate
from facewright.cli.model import Model
from facewright.cli.reconstruct import Reconstruct
from facewright.cli.register import Register
from facewright.cli.relight import Relight
from facewright.cli.reproduce import Reproduce
from facewright.cli.synthesize import Synthesize
from facewright.cli.train import train_command
from facewright.core.errors import FacewrightError
from facewright.core.log import log_to_terminal, logger

DESCRIPTION = "Photographs of a face into a 3D head that can be measured, relit, edited and animated."
COMMANDS = {
    "reconstruct": Reconstruct,
    "register": Register,
    "relight": Relight,
    "interpolate": Interpolate,
    "reproduce": Reproduce,
    "verify": Verify,
    "identify": Identify,
    "demo": Demo,
    "evaluate": Evaluate,
    "synthesize": Synthesize,
    "train": train_command,  # its flags depend on the method that the line names
    "model": Model,
}


def main(arguments: Sequence[str]) -> int:
    """Run one command line (without the program's name) and return the exit code."""
    if list(arguments) in (["--version"], ["-V"]):
        sys.stdout.write(f"facewright {facewright.__version__}\n")
        return DONE
    try:
        command = tyro.cli(
            _commands(arguments),
            args=list(arguments) or ["--help"],
            prog="facewright",
            description=DESCRIPTION,
            # Of a flag only the side that changes something, and no "None" among the values of an option.
            config=(
                tyro.conf.OmitSubcommandPrefixes,
                tyro.conf.OmitArgPrefixes,
                tyro.conf.FlagCreatePairsOff,
                tyro.conf.DisallowNone,
            ),
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
    except OSError as error:  # of a file that a command was given, or of the system: one line, too
        logger("cli").debug("stopped", exc_info=error)
        sys.stderr.write(f"facewright: {error}: check the path and its permissions.\n")
        return USAGE


def _commands(arguments: Sequence[str]) -> Any:
    """The union of all commands, as tyro takes it."""
    union: Any = None
    for name, command in COMMANDS.items():
        chosen = command if isinstance(command, type) else command(arguments)
        named = Annotated[chosen, tyro.conf.subcommand(name)]
        union = named if union is None else union | named
    return union


def entry_point() -> None:
    """Run as the console script."""
    # Threads wait without spinning, and numpy's BLAS, whose threads cannot, has one: beside other work,
    # spinning made a photo take four times as long. To be said before either is imported, and only by the
    # owner of the process.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Being told to stop is an interruption like Ctrl-C: what is half-written is removed on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
