"""``facewright evaluate``: predictions against scans, by a published protocol."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from facewright.cli.exit_codes import DONE, SOME_FAILED
from facewright.cli.switches import SWITCH
from facewright.core.errors import InputError

# Spelled out, so that --help and usage errors need no torch; a test holds it to the table of protocols.
ProtocolName = Literal[
    "now",
    "now-metrical",
    "realy",
    "nonrigid",
    "metric",
    "micc",
    "facescape",
    "bai",
    "tewari",
    "nme",
    "dace",
    "rmse",
]


@dataclass(frozen=True)
class Evaluate:
    """Measure predicted heads against scans.

    Meshes of any topology, each with a landmark file beside it; our own results bring theirs. DIR gets
    table.md, table.csv, table.json, the cumulative curve ced.png and, in heatmaps/, a picture a pair and
    part.
    """

    protocol: Positional[ProtocolName]
    """How to align and what to measure: docs/evaluation.md says what each one does."""
    out: Annotated[Path, arg(metavar="DIR")]
    """Folder for the results; an earlier evaluation in it is replaced."""
    predictions: Annotated[Path | None, arg(metavar="DIR")] = None
    """Predicted meshes, or folders of `facewright reconstruct`; paired with the scans by name."""
    scans: Annotated[Path | None, arg(metavar="DIR")] = None
    """Scans, or folders with one scan each."""
    pairs: Annotated[Path | None, arg(metavar="CSV")] = None
    """In place of the two folders: a table with the columns name, prediction, scan."""
    prediction_unit: Literal["mm", "cm", "m"] = "mm"
    """Unit of the predicted meshes and of their landmarks."""
    scan_unit: Literal["mm", "cm", "m"] = "mm"
    """Unit of the scans and of their landmarks."""
    heatmaps: Annotated[bool, SWITCH] = True
    """Draw no errors on the surfaces."""
    debug: bool = False
    """Print internal details and tracebacks."""

    def run(self) -> int:
        """Run the command.

        Raises:
            FacewrightError: the command cannot be run as it was given.
        """
        folders = (self.predictions is not None, self.scans is not None)
        if (self.pairs is None) == (not all(folders)) or (self.pairs is not None and any(folders)):
            raise InputError("expected --predictions DIR and --scans DIR, or --pairs CSV alone.")
        # Here, not above: they import torch.
        from facewright.evaluation.inputs import pair_folders, read_pairs
        from facewright.evaluation.run import RunSettings, evaluate_into, protocol_named

        if self.pairs is not None:
            pairs = read_pairs(self.pairs)
        else:
            pairs = pair_folders(self.predictions or Path(), self.scans or Path())
        template = None
        if protocol_named(self.protocol).regions:
            from facewright.evaluation.regions import region_template
            from facewright.models.base import load_base_model

            template = region_template(load_base_model())
        settings = RunSettings(self.prediction_unit, self.scan_unit, self.heatmaps)
        table = evaluate_into(self.out, self.protocol, pairs, settings, template)
        for name, part in table.pooled.items():
            summary = part.summary
            sys.stdout.write(
                f"{name}: median {summary.median:.3f}  mean {summary.mean:.3f}  std {summary.std:.3f} "
                f"{table.unit}  (mean of pairs {part.pair_mean:.3f} ± {part.pair_std:.3f})\n"
            )
        failed = f", {table.failed} failed" if table.failed else ""
        sys.stdout.write(f"{table.measured} pairs measured{failed}: {self.out / 'table.md'}\n")
        return SOME_FAILED if table.failed else DONE
