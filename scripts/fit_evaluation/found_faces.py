"""Landmarks that the shipped detector and landmarker find in the labelled photographs."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy import ndarray

from facewright.detection import FaceDetector, FaceLandmarker, detect
from training_data.photos import PhotoSet

FAILED = 0.10  # mean error over the outer eye distance from which a face was not found at all


def found_faces(photos: PhotoSet, rows: Iterable[int]) -> tuple[ndarray, ndarray]:
    """Rows (N) of the photos whose labelled face was found, and its landmarks (N, 478, 2) in pixels."""
    detector, landmarker = FaceDetector.load(), FaceLandmarker.load()
    kept, points = [], []
    for row in rows:
        grey = torch.from_numpy(photos.image(row).astype(np.float32) / 255)[None].repeat(3, 1, 1)
        label = photos.landmarks[row, :, :2]
        faces = [face.points.numpy() for face in detect(grey, detector=detector, landmarker=landmarker)]
        distances = [np.linalg.norm(face - label, axis=1).mean() for face in faces]
        if distances and min(distances) < FAILED * np.linalg.norm(label[33] - label[263]):
            kept.append(row)
            points.append(faces[int(np.argmin(distances))])
    return np.array(kept, dtype=np.int64), np.stack(points)
