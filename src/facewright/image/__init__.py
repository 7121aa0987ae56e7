"""Pictures: reading any file a user has, colour, sampling, warping."""
