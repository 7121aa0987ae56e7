"""Training of networks: one loop for all methods, which hand it a task."""
