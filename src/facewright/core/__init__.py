"""Foundations that know nothing of faces: errors, assets, files, progress."""
