"""Faces and their landmarks in photos."""

from .detector import FaceDetector
from .landmarker import FaceLandmarker
from .records import DetectedFace, DetectionSettings, Landmarks
from .search import detect

__all__ = ["DetectedFace", "DetectionSettings", "FaceDetector", "FaceLandmarker", "Landmarks", "detect"]
