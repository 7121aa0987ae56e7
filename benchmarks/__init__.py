"""Timings, each against a peer or a reference; ``python -m benchmarks`` runs them all."""
