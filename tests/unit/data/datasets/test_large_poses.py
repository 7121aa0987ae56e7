from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from facewright.core.errors import DatasetError
from facewright.data.datasets.large_poses import PARTS, REANNOTATED, read_300w_lp, read_aflw2000
from facewright.data.datasets.lfw import read_lfw, read_lfw_pairs


def write_photo(path: Path, shade: int, **variables: np.ndarray) -> None:
    """A photo with the file of Zhu et al., in their sizes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (45, 45), (shade, shade, shade)).save(path)
    told = {
        "Pose_Para": np.array([[0.1, -0.2, 0.3, 220.0, 230.0, 0.0, 9e-4]]),
        "Shape_Para": np.arange(199.0)[:, None],
        "Exp_Para": np.zeros((29, 1)),
        "Tex_Para": np.zeros((199, 1)),
        "Color_Para": np.zeros((1, 7)),
        "roi": np.array([[1, 1, 450, 450]]),
    }
    savemat(path.with_suffix(".mat"), told | variables, do_compression=True)


def points(first: float, rows: int = 2) -> np.ndarray:
    """Points that count on from ``first``; the last is MATLAB's first pixel."""
    values = first + np.arange(float(rows * 68)).reshape(rows, 68)
    values[:2, -1] = 1.0
    return values


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    for number, part in enumerate(PARTS):
        for folder in (part, f"{part}_Flip"):
            write_photo(tmp_path / folder / f"{part}_1_0.jpg", 50 * number, pt2d=points(number))
        landmarks = tmp_path / "landmarks" / part
        landmarks.mkdir(parents=True)
        savemat(landmarks / f"{part}_1_0_pts.mat", {"pts_2d": points(7).T, "pts_3d": points(8).T})
    return tmp_path


def test_300w_lp_counts_pixels_from_one(wide: Path) -> None:
    photos = read_300w_lp(wide)
    assert photos.names == tuple(f"{part}/{part}_1_0.jpg" for part in PARTS)
    photo = photos[2]
    assert photo.landmarks is not None
    assert photo.landmarks.scheme == "ibug68"
    assert photo.landmarks.points[-1].tolist() == [0.5, 0.5]  # the centre of the first pixel
    assert photo.landmarks.points[3].tolist() == [2 + 3 - 0.5, 2 + 68 + 3 - 0.5]
    assert photo.image.read().pixels.mean().item() == pytest.approx(100 / 255, abs=0.01)
    assert photo.pose is not None
    torch.testing.assert_close(photo.pose, torch.tensor([0.1, -0.2, 0.3]))
    assert photo.coefficients is not None
    assert photo.coefficients["Shape_Para"][5] == 5.0
    assert len(read_300w_lp(wide, flipped=True)) == 8


def test_other_points_come_from_the_landmarks_folder(wide: Path) -> None:
    found = {kind: read_300w_lp(wide, kind)[0].landmarks for kind in ("pt2d", "pts_2d", "pts_3d")}
    assert [mark.points[0, 0].item() for mark in found.values() if mark] == [-0.5, 6.5, 7.5]
    assert len(read_300w_lp(wide, "pts_3d", flipped=True)) == 4
    assert "left out" in read_300w_lp(wide, "pts_3d", flipped=True).notes[0]
    (wide / "landmarks/AFW/AFW_1_0_pts.mat").unlink()
    with pytest.raises(DatasetError, match=r"missing landmarks/AFW/AFW_1_0_pts\.mat \(1 in all\)"):
        read_300w_lp(wide, "pts_3d")


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"pt2d": points(0).T}, r"pt2d has shape \(68, 2\), expected \(2, 68\)"),
        ({"pt2d": np.full((2, 68), np.nan)}, "not all numbers are finite"),
        ({"pt2d": np.array([["a"]], dtype=object)}, "pt2d holds cell, expected numbers"),
        ({"pt2d": points(0), "Pose_Para": np.zeros((1, 6))}, "Pose_Para has shape"),
    ],
)
def test_files_of_one_photo_are_checked_when_it_is_asked_for(wide: Path, variables, told: str) -> None:
    write_photo(wide / "AFW/AFW_1_0.jpg", 0, **variables)
    photos = read_300w_lp(wide)
    assert photos[1].landmarks is not None  # control
    with pytest.raises(DatasetError, match=told):
        photos[0]


def test_a_file_that_is_cut_off_is_told(wide: Path) -> None:
    path = wide / "AFW/AFW_1_0.mat"
    whole = path.read_bytes()
    for size in (0, 100, 200, len(whole) // 2, len(whole) - 40):
        path.write_bytes(whole[:size])
        with pytest.raises(DatasetError, match=r"AFW_1_0\.mat is damaged"):
            read_300w_lp(wide)[0]


def test_folders_of_another_layout_are_refused(tmp_path: Path, wide: Path) -> None:
    with pytest.raises(DatasetError, match=r"missing AFW/NAME\.jpg|missing AFW"):
        read_300w_lp(wide / "AFW")
    (wide / "HELEN/HELEN_1_0.mat").unlink()
    with pytest.raises(DatasetError, match=r"missing HELEN/HELEN_1_0\.mat \(1 in all\)\. Expected AFW"):
        read_300w_lp(wide)


def test_aflw2000_has_two_annotations(tmp_path: Path) -> None:
    for number in (4, 2, 6):
        write_photo(tmp_path / f"image{number:05d}.jpg", number, pt3d_68=points(number, 3))
    with pytest.raises(DatasetError, match=REANNOTATED):
        read_aflw2000(tmp_path, "reannotated")
    again = np.stack([points(100 * row) for row in range(3)]).astype(np.float32)
    np.save(tmp_path / REANNOTATED, again)
    original, second = read_aflw2000(tmp_path), read_aflw2000(tmp_path, "reannotated")
    assert original.names == second.names == tuple(f"image{number:05d}.jpg" for number in (2, 4, 6))
    first, other = original[1].landmarks, second[1].landmarks
    assert first is not None
    assert other is not None
    assert first.points[0].tolist() == [3.5, 71.5]
    assert first.depth is not None
    assert first.depth[0] == -(4 + 2 * 68)
    assert other.points[0].tolist() == [99.5, 167.5]
    assert other.depth is None
    assert "reannotated" in other.source
    np.save(tmp_path / REANNOTATED, again[:2])
    with pytest.raises(DatasetError, match=r"expected \(3, 2, 68\)"):
        read_aflw2000(tmp_path, "reannotated")


@pytest.fixture
def lfw(tmp_path: Path) -> Path:
    for person, count in (("Ann_A", 3), ("Bob_B", 1), ("Cid_C", 2)):
        for number in range(1, count + 1):
            path = tmp_path / "lfw" / person / f"{person}_{number:04d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (25, 25), (number * 40,) * 3).save(path)
    (tmp_path / "pairs.txt").write_text(
        "2\t1\nAnn_A\t1\t3\nAnn_A\t2\tBob_B\t1\nCid_C\t1\t2\nCid_C\t2\tAnn_A\t1\n"
    )
    return tmp_path / "lfw"


def test_lfw_has_people_and_pairs(lfw: Path) -> None:
    photos = read_lfw(lfw)
    assert [photo.identity for photo in photos] == ["Ann_A"] * 3 + ["Bob_B"] + ["Cid_C"] * 2
    pairs = read_lfw_pairs(photos)
    assert [(pair.fold, pair.first, pair.second, pair.same) for pair in pairs] == [
        (0, 0, 2, True),
        (0, 1, 3, False),
        (1, 4, 5, True),
        (1, 5, 0, False),
    ]
    with pytest.raises(DatasetError, match=r"missing NAME/NAME_0001\.jpg"):
        read_lfw(lfw / "Ann_A")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2\t1\nAnn_A\t1\t3\n", "announces 2 folds of twice 1 pairs and has 1"),
        ("1\t1\nAnn_A\t1\t9\nAnn_A\t2\tBob_B\t1\n", r"missing Ann_A/Ann_A_0009\.jpg \(1 in all\)"),
        ("1\t1\nAnn_A\t2\tBob_B\t1\nAnn_A\t1\t3\n", "pair 1 is not of the kind"),
        ("1\t1\nAnn_A\t1\tx\nAnn_A\t2\tBob_B\t1\n", "is no pair"),
        ("what\n", "first line is no number"),
    ],
)
def test_damaged_lists_of_pairs_are_told(lfw: Path, text: str, told: str) -> None:
    (lfw / "pairs.txt").write_text(text)
    with pytest.raises(DatasetError, match=told):
        read_lfw_pairs(read_lfw(lfw))
