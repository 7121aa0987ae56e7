from pathlib import Path

import numpy as np
import pytest
import torch
from tests.unit.data.datasets.miniature_folder import (
    face_points,
    person_picture,
    write_folder,
    write_pairs,
)

from facewright.core.errors import DatasetError
from facewright.data.datasets.labelled_folders import read_labelled_folder, read_pairs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folder(tmp_path / "faces_in_the_wild", [("Ann_A", 2), ("Bob_B", 1)])
    return tmp_path / "faces_in_the_wild"


def relabel(folder: Path, **changes: np.ndarray) -> None:
    with np.load(folder / "labels.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    np.savez(folder / "labels.npz", allow_pickle=True, **(arrays | changes))


def test_a_record_has_its_own_picture_and_labels(folder: Path) -> None:
    photos = read_labelled_folder(folder, "faces_in_the_wild")
    assert photos.names == ("Ann_A_0001.png", "Ann_A_0002.png", "Bob_B_0001.png")
    assert [photo.identity for photo in photos] == ["Ann_A", "Ann_A", "Bob_B"]
    second = photos[1]
    expected = torch.from_numpy(person_picture("Ann_A", 2)).permute(2, 0, 1) / 255
    torch.testing.assert_close(second.image.read().pixels, expected)
    assert not torch.equal(photos[0].image.read().pixels, expected)
    assert second.landmarks is not None
    assert second.landmarks.scheme == "mediapipe478"
    np.testing.assert_allclose(second.landmarks.points.numpy(), face_points()[:, :2], atol=1 / 64)
    assert second.coefficients is not None
    assert second.coefficients["blendshapes"].tolist() == pytest.approx([0.2] * 52)
    assert second.attributes is None
    assert photos[1:].names == photos.names[1:]
    assert photos[1:][1].name == photos[-1].name == "Bob_B_0001.png"


def test_somebody_unknown_has_no_identity(folder: Path) -> None:
    relabel(folder, identity=np.array(["Ann_A", "", "Bob_B"]))
    assert [photo.identity for photo in read_labelled_folder(folder, "faces_in_the_wild")] == [
        "Ann_A",
        None,
        "Bob_B",
    ]


def test_pairs_are_numbers_of_photos(folder: Path) -> None:
    photos = read_labelled_folder(folder, "faces_in_the_wild")
    with pytest.raises(DatasetError, match=r"missing pairs\.csv"):
        read_pairs(photos)
    write_pairs(
        folder, [(0, "Ann_A_0001.png", "Ann_A_0002.png", 1), (3, "Bob_B_0001.png", "Ann_A_0002.png", 0)]
    )
    first, second = read_pairs(photos)
    assert (first.fold, first.first, first.second, first.same) == (0, 0, 1, True)
    assert (second.fold, second.first, second.second, second.same) == (3, 2, 1, False)
    write_pairs(folder, [(0, "Ann_A_0001.png", "Nobody.png", 1)])
    with pytest.raises(DatasetError, match=r"line 2.*Nobody"):
        read_pairs(photos)


def test_a_folder_that_is_no_such_set_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no folder"):
        read_labelled_folder(tmp_path / "nothing", "faces_in_the_wild")
    with pytest.raises(DatasetError, match=r"missing images\.tar, labels\.npz \(2 in all\)"):
        read_labelled_folder(tmp_path, "faces_in_the_wild")


def damage_order(folder: Path) -> None:
    relabel(folder, names=np.array(["Ann_A_0002.png", "Ann_A_0001.png", "Bob_B_0001.png"]))


def damage_shape(folder: Path) -> None:
    relabel(folder, landmarks=np.zeros((3, 68, 2), np.int16))


def damage_pickle(folder: Path) -> None:
    relabel(folder, identity=np.array([{}, {}, {}], dtype=object))


def damage_count(folder: Path) -> None:
    with np.load(folder / "labels.npz") as stored:
        relabel(folder, **{name: stored[name][:2] for name in stored.files})


def damage_tar(folder: Path) -> None:
    data = (folder / "images.tar").read_bytes()
    (folder / "images.tar").write_bytes(data[:700])


def damage_npz(folder: Path) -> None:
    data = (folder / "labels.npz").read_bytes()
    (folder / "labels.npz").write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    "damage", [damage_order, damage_shape, damage_pickle, damage_count, damage_tar, damage_npz]
)
def test_damage_is_told_and_not_read_over(folder: Path, damage) -> None:
    damage(folder)
    with pytest.raises(DatasetError, match="is damaged or of another layout"):
        read_labelled_folder(folder, "faces_in_the_wild")
