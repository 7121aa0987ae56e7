"""How the segmentation network is trained: labels, augmentation, task."""
