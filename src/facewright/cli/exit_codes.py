"""What the command line's exit codes mean."""

DONE = 0
SOME_FAILED = 1
USAGE = 2  # the command cannot be run, or not to its end, as it was given
INTERRUPTED = 130
