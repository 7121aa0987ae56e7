"""``facewright demo``: the two public-domain portraits, no arguments."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from facewright.cli.exit_codes import DONE
from facewright.cli.reconstruct import exit_code, reconstruct_into
from facewright.core.device import DeviceName
from facewright.pipeline.inputs import PhotoInput
from facewright.pipeline.portraits import demo_portraits
from facewright.pipeline.report import Report
from facewright.pipeline.settings import BatchSettings, ReconstructionSettings


@dataclass(frozen=True)
class Demo:
    """Reconstruct two public-domain portraits that came with the installation."""

    out: Annotated[Path, arg(metavar="DIR")] = Path("facewright_demo")
    """Folder for the results."""
    device: DeviceName = "auto"
    """Where to compute."""
    force: bool = False
    """Redo what is already done."""
    debug: bool = False
    """Print internal details and tracebacks."""

    def run(self) -> int:
        """Run the command.

        Raises:
            FacewrightError: the demo cannot run at all.
        """
        portraits = demo_portraits()
        batch = BatchSettings(force=self.force)
        summary = reconstruct_into(
            list(portraits.values()), self.out, ReconstructionSettings(), batch, self.device
        )
        code = exit_code(summary)
        if code == DONE:
            entries = Report(self.out).entries
            folders = [self.out / entries[PhotoInput(path).key].folders[0] for path in portraits.values()]
            lines = [f"Look at {folder / 'overview.png'}" for folder in folders]
            lines.append("and open head.glb beside it in Blender, three.js or any glTF viewer.")
            sys.stdout.write("\n".join(lines) + "\n")
        return code
