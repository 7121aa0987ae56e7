"""``facewright model info``: what the shipped head model holds."""

import sys
from dataclasses import dataclass
from typing import Literal

from tyro.conf import Positional

from facewright.cli.exit_codes import DONE


@dataclass(frozen=True)
class Model:
    """Tell about the shipped head model."""

    action: Positional[Literal["info"]]
    """What to tell: info prints sizes, names and the licence."""
    debug: bool = False
    """Print internal details and tracebacks."""

    def run(self) -> int:
        """Run the command.

        Raises:
            AssetError: the model file is missing or damaged.
        """
        from facewright.pipeline.describe import describe_base_model  # here: it needs torch

        sys.stdout.write(describe_base_model() + "\n")
        return DONE
