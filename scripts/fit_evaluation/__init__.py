"""Measuring fits: scans, detected landmarks, tables."""
