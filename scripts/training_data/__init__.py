"""Training data of the shipped networks: photographs, split, crops, degradations."""
