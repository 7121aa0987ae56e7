"""``facewright synthesize``: photos and scans of heads whose every number is known."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from facewright.cli.exit_codes import DONE
from facewright.core.device import DeviceName

# Spelled out, so that --help and usage errors need no torch; a test holds it to the table of protocols.
SyntheticName = Literal[
    "synthetic-celeba",
    "synthetic-300wlp",
    "synthetic-frgc",
    "synthetic-bosphorus",
    "synthetic-florence",
    "synthetic-stirling",
]


@dataclass(frozen=True)
class Synthesize:
    """Make photos or scans of heads whose every number is known.

    DIR gets shards/ (tar files in the layout of WebDataset), contact_sheet.png (look at this first),
    statistics.png and report.json; docs/data.md says what a sample holds. A sample depends on the seed and
    its index alone. A run that was stopped goes on; shards that are there are verified and kept.
    """

    protocol: Positional[SyntheticName]
    """Which set: docs/data.md."""
    out: Annotated[Path, arg(metavar="DIR")]
    """Folder for the shards."""
    count: int | None = None
    """How many samples; as many as the protocol has if not given."""
    seed: int = 0
    """Another seed makes other samples."""
    workers: int = 1
    """Processes; on a GPU they share it."""
    device: DeviceName = "auto"
    """Where photos are made; scans are made on the CPU."""
    batch: int | None = None
    """How many photos are made together; what suits the device if not given."""
    shard_size: int = 256
    """Samples in a shard."""
    model: Annotated[Path | None, arg(metavar="FILE")] = None
    """A face model of `facewright model import` or `build`, of any topology, in place of the shipped head."""
    backgrounds: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Pictures without faces to lay behind the heads; shapes are drawn if not given."""
    debug: bool = False
    """Print internal details and tracebacks."""

    def run(self) -> int:
        """Run the command.

        Raises:
            FacewrightError: the command cannot be run as it was given.
        """
        # Here, not above: they import torch.
        from facewright.pipeline.synthesize import SHEET, SynthesisSettings, synthesize_into

        settings = SynthesisSettings(
            protocol=self.protocol,
            count=self.count,
            seed=self.seed,
            shard_size=self.shard_size,
            model=self.model,
            backgrounds=self.backgrounds,
            device=self.device,
            batch=self.batch,
        )
        summary = synthesize_into(self.out, settings, self.workers)
        kept = f", {summary.kept} kept" if summary.kept else ""
        again = f", {len(summary.damaged)} of them in place of damaged ones" if summary.damaged else ""
        again += f", {len(summary.longer)} of them in place of shorter ones" if summary.longer else ""
        sys.stdout.write(
            f"{summary.samples} samples: {summary.made} shards made{again}{kept}. "
            f"Look at {self.out / SHEET}\n"
        )
        return DONE
