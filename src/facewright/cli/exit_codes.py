"""What the command line's exit codes mean."""

DONE = 0
SOME_FAILED = 1
USAGE = 2  # nothing was tried: the command cannot be run as it was given
INTERRUPTED = 130
