"""``python -m facewright.cli``."""

from facewright.cli.main import entry_point

entry_point()
