"""Timings, each against a peer or a reference; ``python -m benchmarks`` runs them all."""

import os

# As the command line does: threads that spin while they wait cost dozens of times the work itself as soon as
# anything else runs on the machine. To be said before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
