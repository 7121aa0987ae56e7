"""Material and bookkeeping of the evaluation scripts."""
