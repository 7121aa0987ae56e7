"""Meshes, rotations and other geometry without pixels or faces."""
