"""From a photo to a reconstructed head."""
