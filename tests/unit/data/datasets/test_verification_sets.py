from pathlib import Path

import pytest
from PIL import Image

from facewright.core.errors import DatasetError
from facewright.data.datasets.cfp import read_cfp, read_cfp_pairs
from facewright.data.datasets.youtube_faces import read_youtube_faces, read_youtube_pairs


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 32), (90, 80, 70)).save(path)


@pytest.fixture
def cfp(tmp_path: Path) -> Path:
    """Three people, two frontal photos and one profile each; two folds have pairs, the others are empty."""
    lists: dict[str, list[str]] = {"F": [], "P": []}
    for who in ("001", "002", "003"):
        for kind, letter, count in (("frontal", "F", 2), ("profile", "P", 1)):
            for number in range(1, count + 1):
                picture(tmp_path / f"Data/Images/{who}/{kind}/{number:02d}.jpg")
                lists[letter].append(f"{len(lists[letter]) + 1} ../Data/Images/{who}/{kind}/{number:02d}.jpg")
    for protocol in ("FP", "FF"):
        for fold in range(1, 11):
            place = tmp_path / f"Protocol/Split/{protocol}/{fold:02d}"
            place.mkdir(parents=True)
            (place / "same.txt").write_text("")
            (place / "diff.txt").write_text("")
    for letter, lines in lists.items():
        (tmp_path / f"Protocol/Pair_list_{letter}.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "Protocol/Split/FP/01/same.txt").write_text("1,1\n3,2\n")
    (tmp_path / "Protocol/Split/FP/02/diff.txt").write_text("1,2\n")
    (tmp_path / "Protocol/Split/FF/01/same.txt").write_text("1,2\n")
    return tmp_path


def test_cfp_pairs_join_frontal_photos_and_profiles(cfp: Path) -> None:
    photos = read_cfp(cfp)
    assert len(photos) == 9
    assert photos[0].identity == "001"
    assert photos[0].image.read().pixels.shape == (3, 32, 32)
    pairs = read_cfp_pairs(photos)
    assert [(pair.fold, pair.same) for pair in pairs] == [(0, True), (0, True), (1, False)]
    assert photos.names[pairs[1].first] == "Data/Images/002/frontal/01.jpg"
    assert photos.names[pairs[1].second] == "Data/Images/002/profile/01.jpg"
    frontal = read_cfp_pairs(photos, "FF")
    assert photos.names[frontal[0].second] == "Data/Images/001/frontal/02.jpg"


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("Protocol/Split/FP/01/same.txt", "1,2\n", "not of the kind"),
        ("Protocol/Split/FP/01/same.txt", "1,99\n", "no pair of photos"),
        ("Protocol/Split/FP/01/same.txt", "1\n", "no pair of photos"),
        ("Protocol/Pair_list_P.txt", "1 ../../etc/passwd\n", "no number and path"),
        ("Protocol/Pair_list_P.txt", "1 ../Data/Images/../../x/y\n", "no number and path"),
    ],
)
def test_damaged_lists_of_cfp_are_told(cfp: Path, path: str, text: str, told: str) -> None:
    read_cfp_pairs(read_cfp(cfp))  # control
    (cfp / path).write_text(text)
    with pytest.raises(DatasetError, match=told):
        read_cfp_pairs(read_cfp(cfp))


def test_cfp_names_what_is_missing(cfp: Path) -> None:
    (cfp / "Data/Images/003/profile/01.jpg").unlink()
    with pytest.raises(DatasetError, match="003/profile/01"):
        read_cfp(cfp)
    with pytest.raises(DatasetError, match="there is no folder"):
        read_cfp(cfp / "nowhere")


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two people, two clips each of twelve frames, whose numbers do not sort as words."""
    for person in ("Ann_A", "Bob_B"):
        for clip in ("0", "3"):
            for frame in range(95, 107):
                picture(tmp_path / f"aligned_images_DB/{person}/{clip}/aligned_detect_{clip}.{frame}.jpg")
    lines = ["split number, first name, second name, is same"]
    lines += ["1, Ann_A/0, Ann_A/3, 1", "2, Ann_A/0, Bob_B/3, 0"]
    (tmp_path / "splits.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_every_fifth_frame_of_a_clip_is_taken(clips: Path) -> None:
    photos = read_youtube_faces(clips)
    assert len(photos) == 4 * 3
    assert photos.names[:3] == tuple(f"Ann_A/0/aligned_detect_0.{n}.jpg" for n in (95, 100, 105))
    assert photos[5].identity == "Ann_A"
    assert len(read_youtube_faces(clips, step=1)) == 48  # control
    pairs = read_youtube_pairs(photos)
    assert [(pair.fold, pair.first, pair.second, pair.same) for pair in pairs] == [
        (0, (0, 1, 2), (3, 4, 5), True),
        (1, (0, 1, 2), (9, 10, 11), False),
    ]


@pytest.mark.parametrize(
    "line", ["1, Ann_A/0, Ann_A/9, 1", "1, Ann_A/0, Bob_B/0, 1", "1, Ann_A/0", "x, Ann_A/0, Ann_A/3, 1"]
)
def test_damaged_splits_are_told(clips: Path, line: str) -> None:
    photos = read_youtube_faces(clips)
    (clips / "splits.txt").write_text(f"title\n{line}\n")
    with pytest.raises(DatasetError, match="damaged"):
        read_youtube_pairs(photos)
    with pytest.raises(DatasetError, match="aligned_images_DB"):
        read_youtube_faces(clips / "aligned_images_DB")
