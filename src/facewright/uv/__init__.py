"""Texture maps: chart, photo to map, completion."""
