"""Scripts that fit landmarks leave photos without any out of points, sizes and persons alike."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

import evaluate_profile  # pyright: ignore[reportMissingImports]
import fit_identity_centre  # pyright: ignore[reportMissingImports]
from facewright.data.datasets.record import FacePhoto, LabelledPoints, StoredImage


@pytest.fixture
def photo(tmp_path):
    """A photo that is wider by its number, which its landmarks tell, too."""

    def of(number, who, *, labelled=True, degrees=0.0):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.full((80, 100 + number, 3), 128, np.uint8)).save(path)
        points = LabelledPoints("mediapipe478", torch.full((478, 2), float(number)))
        turn = math.radians(degrees)
        transform = torch.eye(4)
        transform[0, 0] = transform[2, 2] = math.cos(turn)
        transform[0, 2], transform[2, 0] = math.sin(turn), -math.sin(turn)
        return FacePhoto(
            set_name="some",
            name=path.name,
            image=StoredImage(path, path.name),
            identity=who,
            landmarks=points if labelled else None,
            coefficients={"transform": transform},
        )

    return of


def test_blocks_leave_photos_without_landmarks_out_of_everything(photo, monkeypatch):
    people = [
        (who, photo(number, who, labelled=number not in (0, 3)))
        for number, who in enumerate(["a", "a", "b", "c", "d", "d"])
    ]
    monkeypatch.setattr(fit_identity_centre, "BLOCK", 2)
    found = list(fit_identity_centre.blocks(people))
    numbers = [int(each) for points, _, _ in found for each in points[:, 0, 0]]
    assert numbers == [1, 2, 4, 5]
    assert [size for _, sizes, _ in found for size in sizes] == [(80, 100 + number) for number in numbers]
    assert [int(each) for _, _, whose in found for each in whose] == [0, 1, 2, 2]
    assert [len(points) for points, _, _ in found] == [2, 2]


def test_pairs_are_drawn_of_labelled_photos(photo):
    people = {
        "a": [photo(0, "a", labelled=False), photo(1, "a"), photo(2, "a", degrees=40)],
        "b": [photo(3, "b"), photo(4, "b", labelled=False, degrees=40)],
        "c": [photo(5, "c", labelled=False)],
    }
    pairs = evaluate_profile.drawn_pairs(people)
    drawn = [(who, first.name, second.name) for who, first, second in pairs]
    assert drawn == [("a", "1.png", "2.png")] * evaluate_profile.DRAWN
    seen = evaluate_profile.seen([second for _, _, second in pairs])
    assert seen.sizes == [(80, 102)] * len(pairs)
    assert (seen.points == 2).all()
    with pytest.raises(ValueError, match=r"0\.png has no landmarks"):
        evaluate_profile.seen(people["a"])
