"""A landmarker that was trained on photographs sees a face there, and its points where the labels are."""

from dataclasses import replace

import torch

from facewright.data.synthesis import samples
from facewright.pipeline.finder import ShippedFinder


def test_the_shipped_landmarker_agrees_with_the_labels(studio) -> None:
    large = replace(studio, settings=replace(studio.settings, size=224))
    photos = samples(large, 11, range(6))
    finder = ShippedFinder.load(torch.device("cpu"))
    found = [(photo, faces[0].points) for photo in photos if (faces := finder(photo.image))]
    assert len(found) >= 5

    def error(photo, points) -> float:
        eyes = (photo.landmarks68[36] - photo.landmarks68[45]).norm()
        return float((points - photo.landmarks478).norm(dim=1).mean() / eyes)

    own = torch.tensor([error(photo, points) for photo, points in found])
    shifted = torch.tensor([error(photo, points + 12.0) for photo, points in found])
    assert own.median() < 0.06
    assert shifted.median() > 0.12
