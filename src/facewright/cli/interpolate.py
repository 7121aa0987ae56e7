"""``facewright interpolate``: the faces between two results of ``reconstruct``."""

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from facewright.cli.exit_codes import DONE


@dataclass(frozen=True)
class Interpolate:
    """Walk from one face to another along the geodesic of the identity sphere.

    DIR gets strip.png (look at this first), walk.glb (a head that plays the way there and back) and
    interpolation.json. docs/methods/sphere.md tells more.
    """

    first: Annotated[Positional[Path], arg(metavar="A")]
    """Folder of a result of `facewright reconstruct`."""
    last: Annotated[Positional[Path], arg(metavar="B")]
    """Folder of another, made with the same model."""
    out: Annotated[Path, arg(metavar="DIR")]
    """Folder for the files."""
    steps: int = 7
    """Faces of the strip, with both ends."""
    model: Annotated[Path | None, arg(metavar="FILE")] = None
    """The face model of the results, if it is neither the shipped one nor where it was."""
    debug: bool = False
    """Print internal details and tracebacks."""

    def run(self) -> int:
        """Run the command.

        Raises:
            FacewrightError: the command cannot be run as it was given.
        """
        from facewright.pipeline.interpolate import STRIP, interpolate_into  # needs torch

        walk = interpolate_into(self.first, self.last, self.out, self.steps, self.model)
        sys.stdout.write(
            f"{len(walk.shares)} faces, {math.degrees(walk.angle):.0f} degrees from one to the other. Look "
            f"at {self.out / STRIP}\n"
        )
        return DONE
