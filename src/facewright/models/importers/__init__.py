"""Readers of other projects' face models: one raw format a file, each undoing the traps of its format."""
