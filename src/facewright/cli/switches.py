"""Flags of what is done unless somebody says no."""

from tyro.conf import arg

# Help shows such a flag as --no-..., so its words are what it then does, and no default is told beside them.
SWITCH = arg(help_behavior_hint="")
