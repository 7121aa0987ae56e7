"""From landmarks and pixels to the coefficients of a face model."""
