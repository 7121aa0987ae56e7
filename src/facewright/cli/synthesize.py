"""``facewright synthesize``: photos and scans of heads whose every number is known."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

from tyro.conf import Positional, arg

from facewright.cli.exit_codes import DONE
from facewright.core.device import DeviceName
from facewright.core.errors import InputError

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
    its index alone. A run that was stopped goes on; shards that are there are verified and kept. With
    --stream the same samples go to standard output as one tar file, while they are made.
    """

    protocol: Positional[SyntheticName]
    """Which set: docs/data.md."""
    out: Annotated[Path | None, arg(metavar="DIR")] = None
    """Folder for the shards."""
    stream: bool = False
    """Write a tar of the samples to standard output, and no file, in place of --out."""
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
        if (self.out is None) != self.stream:
            raise InputError("expected either --out DIR or --stream.")
        # Here, not above: they import torch.
        from facewright.pipeline.synthesize import (
            SHEET,
            SynthesisSettings,
            synthesize_into,
            synthesize_stream,
        )

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
        if self.out is None:
            if sys.stdout.isatty():
                raise InputError("a tar file is nothing for a terminal: let --stream go to a file or a pipe.")
            with standard_output() as target:
                synthesize_stream(target, settings, self.workers)
            return DONE
        summary = synthesize_into(self.out, settings, self.workers)
        kept = f", {summary.kept} kept" if summary.kept else ""
        again = f", {len(summary.damaged)} of them in place of damaged ones" if summary.damaged else ""
        again += f", {len(summary.longer)} of them in place of shorter ones" if summary.longer else ""
        sys.stdout.write(
            f"{summary.samples} samples: {summary.made} shards made{again}{kept}. "
            f"Look at {self.out / SHEET}\n"
        )
        return DONE


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Standard output for bytes; what else is printed meanwhile, by any library, goes to standard error."""
    sys.stdout.flush()
    out = sys.stdout.fileno()
    kept = os.dup(out)
    os.dup2(sys.stderr.fileno(), out)
    try:
        with open(kept, "wb", closefd=False) as target:
            yield target
    finally:
        sys.stdout.flush()
        os.dup2(kept, out)
        os.close(kept)
