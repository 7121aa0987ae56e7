from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from facewright.core.errors import DatasetError, InputError
from facewright.data.datasets.celeba import read_celeba
from facewright.data.datasets.celebamask_hq import PARTS, part_map, read_celebamask_hq

NAMES = [f"{number:06d}.jpg" for number in range(1, 13)]
KINDS = [f"Kind_{number}" for number in range(40)]
FIVE = " ".join(
    f"{part}_{axis}" for part in ("lefteye", "righteye", "nose", "leftmouth", "rightmouth") for axis in "xy"
)


def picture(path: Path, level: int, size: tuple[int, int] = (30, 36), mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, level if mode == "L" else (level,) * 3).save(path)


def write_lines(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(params=["flat", "official"])
def celeba(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Twelve photos; row n has landmark coordinates n, n+1, ... and attribute n alone."""
    official = request.param == "official"
    image, anno, evaluation = (tmp_path / part if official else tmp_path for part in ("Img", "Anno", "Eval"))
    for number, name in enumerate(NAMES, 1):
        for folder in ("img_align_celeba", "img_celeba"):
            picture(image / folder / name, 20 * number)
    rows = [f"{name} {' '.join(str(n + k) for k in range(10))}" for n, name in enumerate(NAMES, 1)]
    for name in ("list_landmarks_align_celeba.txt", "list_landmarks_celeba.txt"):
        write_lines(anno / name, ["12", FIVE, *rows])
    marks = [
        f"{name}  {' '.join('1' if k == n else '-1' for k in range(40))}" for n, name in enumerate(NAMES)
    ]
    write_lines(anno / "list_attr_celeba.txt", ["12", " ".join(KINDS), *marks])
    boxes = [f"{name}    95  71  22 31" for name in NAMES]
    write_lines(anno / "list_bbox_celeba.txt", ["12", "image_id x_1 y_1 width height", *boxes])
    write_lines(anno / "identity_CelebA.txt", [f"{name} {2880 + n}" for n, name in enumerate(NAMES)][::-1])
    write_lines(evaluation / "list_eval_partition.txt", [f"{name} {n % 3}" for n, name in enumerate(NAMES)])
    return tmp_path


def test_celeba_labels_belong_to_their_photo(celeba: Path) -> None:
    photos = read_celeba(celeba)
    assert list(photos.names) == NAMES
    photo = photos[4]
    assert photo.image.read().pixels.mean().item() == pytest.approx(100 / 255, abs=0.01)
    assert photo.identity == "2884"  # the file of identities has another order
    assert photo.landmarks is not None
    assert photo.landmarks.scheme == "celeba5"
    torch.testing.assert_close(photo.landmarks.points, torch.arange(5.0, 15.0).reshape(5, 2) + 0.5)
    assert photo.attributes is not None
    assert [kind for kind, is_so in photo.attributes.items() if is_so] == ["Kind_4"]
    assert (photo.split, photos[5].split, photos[3].split) == ("valid", "test", "train")
    assert photo.box is None
    found = read_celeba(celeba, "in_the_wild")[0].box
    assert found is not None
    assert found.tolist() == [95.0, 71.0, 117.0, 102.0]


def test_of_an_empty_folder_everything_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        read_celeba(tmp_path)
    told = str(caught.value)
    assert "missing identity_CelebA.txt, list_attr_celeba.txt, list_landmarks_align_celeba.txt, " in told
    assert "list_eval_partition.txt, img_align_celeba (5 in all)" in told


def test_missing_photos_are_counted_and_ten_are_named(celeba: Path) -> None:
    for path in celeba.rglob("img_align_celeba/*.jpg"):
        path.unlink()
    with pytest.raises(DatasetError) as caught:
        read_celeba(celeba)
    told = str(caught.value)
    assert "img_align_celeba/000010.jpg and 2 more (12 in all)" in told
    assert "000011.jpg" not in told
    assert "http://mmlab.ie.cuhk.edu.hk" in told
    assert "list_eval_partition.txt" in told
    read_celeba(celeba, "in_the_wild")  # control: those are there


@pytest.mark.parametrize(
    ("file", "change", "told"),
    [
        ("identity_CelebA.txt", lambda lines: lines[:-1], "no row for 000001.jpg"),
        ("list_attr_celeba.txt", lambda lines: ["13", *lines[1:]], "12 rows, not 13"),
        ("list_attr_celeba.txt", lambda lines: [*lines[:2], lines[2] + " 1", *lines[3:]], "numbers, not"),
        ("list_landmarks_align_celeba.txt", lambda lines: [*lines[:3], "x y"], "could not convert"),
        ("list_landmarks_align_celeba.txt", lambda lines: [lines[0], "a b", *lines[2:]], "names 2 columns"),
        ("list_eval_partition.txt", lambda lines: ["../../secret.jpg 0", *lines], "is no photo's name"),
        ("list_eval_partition.txt", lambda lines: [lines[0][:-1] + "7", *lines[1:]], "splits are not 0, 1"),
        ("list_eval_partition.txt", lambda _: [], "0 rows"),
    ],
)
def test_damaged_label_files_are_told(celeba: Path, file: str, change, told: str) -> None:
    (path,) = celeba.rglob(file)
    write_lines(path, change(path.read_text().splitlines()))
    with pytest.raises(DatasetError, match=told):
        read_celeba(celeba)


@pytest.fixture
def masked(tmp_path: Path) -> Path:
    """Photos 0 and 2001 with a skin mask of the whole and a nose, over which glasses lie in the second."""
    for number in (0, 2001):
        picture(tmp_path / "CelebA-HQ-img" / f"{number}.jpg", 40, (64, 64))
        root = tmp_path / "CelebAMask-HQ-mask-anno" / str(number // 2000)
        picture(root / f"{number:05d}_skin.png", 255, (32, 32), "RGB")
        nose = np.zeros((32, 32, 3), np.uint8)
        nose[10:20, 10:20] = 255
        Image.fromarray(nose).save(root / f"{number:05d}_nose.png")
        if number:
            nose[:15] = 0
            Image.fromarray(nose).save(root / f"{number:05d}_eye_g.png")
    names = ["0.jpg", "2001.jpg"]
    rows = [f"{name} {' '.join(['1', *['-1'] * 39])}" for name in names]
    write_lines(tmp_path / "CelebAMask-HQ-attribute-anno.txt", ["2", " ".join(KINDS), *rows])
    poses = ["2001.jpg 30.0 10.0 -5.0", "0.jpg -90 0 0"]
    write_lines(tmp_path / "CelebAMask-HQ-pose-anno.txt", ["2", "Yaw Pitch Raw", *poses])
    mapping = ["idx         orig_idx    orig_file", "0  119613  119614.jpg", "2001  99093  099094.jpg"]
    write_lines(tmp_path / "CelebA-HQ-to-CelebA-mapping.txt", mapping)
    return tmp_path


def test_masks_lie_over_each_other_in_the_set_s_order(masked: Path) -> None:
    photos = read_celebamask_hq(masked)
    plain, glasses = photos
    assert plain.masks is not None
    assert sorted(plain.masks) == ["nose", "skin"]
    skin, nose, eye_g = (PARTS.index(part) + 1 for part in ("skin", "nose", "eye_g"))
    parts = part_map(plain)
    assert parts.shape == (32, 32)
    assert (parts[5, 5], parts[12, 12], parts[17, 17]) == (skin, nose, nose)
    assert (part_map(glasses)[12, 12], part_map(glasses)[17, 17]) == (nose, eye_g)
    assert glasses.pose is not None
    torch.testing.assert_close(torch.rad2deg(glasses.pose), torch.tensor([10.0, 30.0, -5.0]))
    assert glasses.coefficients is not None
    assert glasses.coefficients["celeba"].tolist() == [99094]
    assert glasses.attributes is not None
    assert glasses.attributes["Kind_0"]
    assert not glasses.attributes["Kind_1"]


def test_masks_of_another_layout_are_refused(masked: Path) -> None:
    (masked / "CelebAMask-HQ-mask-anno/1").rename(masked / "CelebAMask-HQ-mask-anno/one")
    with pytest.raises(DatasetError, match=r"missing CelebAMask-HQ-mask-anno/1 \(1 in all\)"):
        read_celebamask_hq(masked)
    (masked / "CelebAMask-HQ-mask-anno/one").rename(masked / "CelebAMask-HQ-mask-anno/1")
    picture(masked / "CelebAMask-HQ-mask-anno/0/00000_nose.png", 255, (40, 40))
    with pytest.raises(InputError, match=r"masks of 0\.jpg have"):
        part_map(read_celebamask_hq(masked)[0])
    for path in (masked / "CelebAMask-HQ-mask-anno/0").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="has no masks"):
        part_map(read_celebamask_hq(masked)[0])
    write_lines(masked / "CelebA-HQ-to-CelebA-mapping.txt", ["0 one two"])
    with pytest.raises(DatasetError, match="row 1 is '0 one two'"):
        read_celebamask_hq(masked)
