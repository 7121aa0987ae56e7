"""The Sphere Face Model: identity as a direction on a hypersphere, learned from scans, then from photos."""
