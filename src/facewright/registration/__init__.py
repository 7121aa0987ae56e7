"""Face scans into the topology of the head model."""
