"""Heads as files: OBJ, PLY, GLB."""
