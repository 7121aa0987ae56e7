"""One rasteriser, several implementations that must agree."""
