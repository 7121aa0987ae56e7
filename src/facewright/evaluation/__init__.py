"""Honest errors: metrics as pure functions, published protocols by name, tables and pictures of a run."""
