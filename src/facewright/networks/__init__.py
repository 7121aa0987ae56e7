"""Network layers and the reading of their weights."""
