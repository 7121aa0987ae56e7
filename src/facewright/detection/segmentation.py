"""What each pixel around a face shows: skin, eyes, mouth, something before it, or the background."""

CLASSES = ("background", "face", "skin", "eyes", "inner_mouth", "occluder")
