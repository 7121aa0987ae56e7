"""Data to learn from: synthetic photos and scans of heads whose every number is known."""
