"""``facewright reproduce``: the ablations behind a table of a method's paper, on synthetic data."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from facewright.cli.exit_codes import DONE
from facewright.core.device import DeviceName


@dataclass(frozen=True)
class Reproduce:
    """Train the variants behind a table of a method's paper, and set our numbers beside the paper's.

    DIR gets table_<TABLE>.md (look at this first), .json and .csv, and a file for each run. A run that was
    stopped goes on; tables of the same variants share their runs. docs/reproduce.md tells more. Needs the
    extra `train`.
    """

    method: Annotated[Positional[str], arg(metavar="METHOD")]
    """Which method: specular, sphere."""
    table: Annotated[Positional[str], arg(metavar="TABLE")]
    """Which table: 1, 2 of its paper (of sphere also 3, 4)."""
    out: Annotated[Path, arg(metavar="DIR")]
    """Folder of the reproduction."""
    scale: Literal["mini", "small", "full"] = "mini"
    """mini takes minutes a run on a CPU; full is the paper's schedule."""
    seeds: int = 3
    """Runs of each variant; with fewer than two no direction can be told."""
    steps: int | None = None
    """Length of each training; the scale's if not given."""
    device: DeviceName | None = None
    """Where the trainings of specular run; auto, a GPU where there is one, if not given."""
    examples: Annotated[tuple[Path, ...], arg(metavar="FOLDER ...")] = ()
    """For specular: prepared photos (scripts/prepare_specular.py); synthesised in DIR if not given. For
    tables 2 and 3 of sphere: the file of another generator's head model (docs/methods/sphere.md); for table 4
    and the rows SFM*: the folder of the labelled photos."""
    debug: bool = False
    """Print internal details and tracebacks."""

    def run(self) -> int:
        """Run the command.

        Raises:
            FacewrightError: the command cannot be run as it was given.
        """
        # Here, not above: they import torch.
        from facewright.pipeline.methods import load_study
        from facewright.pipeline.reproduce import reproduce

        study = load_study(self.method, self.scale, self.examples, self.steps, self.device)
        done = reproduce(study, self.table, self.out, self.seeds)
        kept = f", {done.kept} kept" if done.kept else ""
        verdicts = [found.agrees for found in done.findings]
        counts = ", ".join(
            f"{verdicts.count(name)} {name}"
            for name in ("yes", "no", "undecided", "not run")
            if name in verdicts
        )
        sys.stdout.write(
            f"{done.made} runs made{kept}. Directions agree: {counts}. Look at {done.markdown}\n"
        )
        return DONE
