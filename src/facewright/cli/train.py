"""``facewright train``: the network of a method, or go on where a run stopped."""

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, make_dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from facewright.cli.exit_codes import DONE
from facewright.core.device import DeviceName
from facewright.core.errors import InputError
from facewright.pipeline.training import RECIPES, train_method, training_recipe

OWN = ("method", "out", "scale", "workers", "debug", "options")  # no settings of the loop


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train the network of a method; the same command again goes on where a run stopped.

    `facewright train METHOD --help` lists what the method can be given. DIR gets best.safetensors, last.pt
    (to go on from), journal.jsonl, pictures/ and tensorboard/; docs/training.md says more. Needs the extra
    `train`.
    """

    method: Annotated[Positional[str], arg(metavar="METHOD")]
    """Which network: docs/training.md."""
    out: Annotated[Path, arg(metavar="DIR")]
    """Folder of the run."""
    scale: Literal["mini", "small", "full"] = "small"
    """mini takes minutes on a CPU, small makes the shipped weights, full is the paper's schedule."""
    steps: int | None = None
    """How many, in all; the scale's, as all that follows, if not given."""
    batch: int | None = None
    """Samples a step, over all processes."""
    learning_rate: float | None = None
    """The highest."""
    schedule: Literal["constant", "cosine", "thirds"] | None = None
    """Of the learning rate, after the warm-up."""
    warmup: int | None = None
    """Steps until the highest rate is reached."""
    optimizer: Literal["adam", "adamw", "sgd"] | None = None
    """Which optimiser."""
    weight_decay: float | None = None
    """Of the optimiser."""
    clip: float | None = None
    """Greatest norm of the gradients; 0 clips nothing."""
    accumulate: int | None = None
    """Parts of a batch that a process computes one after the other."""
    ema: float | None = None
    """Decay of the averaged weights."""
    precision: Literal["float32", "bfloat16"] | None = None
    """Of the network's computations."""
    evaluate_every: int | None = None
    """Steps; 0: after the last one only."""
    checkpoint_every: int | None = None
    """Steps; 0: after the last one only."""
    journal_every: int | None = None
    """Steps; 0: after the last one only."""
    seed: int | None = None
    """Another seed makes other weights and batches."""
    device: DeviceName | None = None
    """Where the network is."""
    workers: int = 0
    """Processes that make batches ahead."""
    debug: bool = False
    """Print internal details and tracebacks."""

    def run(self) -> int:
        """Run the command.

        Raises:
            FacewrightError: the command cannot be run as it was given, or the training failed.
        """
        options = getattr(self, "options", None)
        if options is None:
            known = ", ".join(sorted(RECIPES)) or "none yet"
            raise InputError(f"expected METHOD first, one of: {known}; got {self.method!r}.")
        settings = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in OWN}
        changes = {name: value for name, value in settings.items() if value is not None}
        notes = {"command": shlex.join(["facewright", *sys.argv[1:]])}
        result = train_method(self.method, options, self.scale, changes, self.out, self.workers, notes)
        if os.environ.get("RANK", "0") == "0":  # of the processes that torchrun started, the first speaks
            figures = ", ".join(f"{name} {value:.4g}" for name, value in result.metrics.items())
            sys.stdout.write(
                f"{result.steps} steps: {figures}. The best weights, of step {result.best_step}, are in "
                f"{result.best}\n"
            )
        return DONE


def train_command(arguments: Sequence[str]) -> type[Train]:
    """The command for a line: where it names a method, with the method's own options among the flags."""
    if list(arguments[:1]) != ["train"] or len(arguments) < 2 or arguments[1] not in RECIPES:
        return Train
    options = training_recipe(arguments[1]).options
    made = make_dataclass("Train", [("options", options)], bases=(Train,), frozen=True, kw_only=True)
    made.__doc__ = Train.__doc__
    return made
