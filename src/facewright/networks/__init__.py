"""Layers, backbones, heads and weight files of the shipped networks."""
