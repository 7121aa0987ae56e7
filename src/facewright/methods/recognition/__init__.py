"""The recognition network: its photos, augmentation, training and evaluation."""
