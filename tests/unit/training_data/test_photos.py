import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facewright.core.errors import DatasetError
from facewright.data.datasets.kept_out import is_kept_out
from training_data.photos import load_set  # pyright: ignore[reportMissingImports]


def write_set(folder: Path, members: list[tuple[str, int]], names: list[str]) -> None:
    """A miniature of the labelled sets: members (name, grey level) in a tar, names in the labels."""
    folder.mkdir()
    with tarfile.open(folder / "images.tar", "w") as tar:
        for name, level in members:
            stream = io.BytesIO()
            Image.fromarray(np.full((24, 32), level, np.uint8)).save(stream, "png")
            header = tarfile.TarInfo(name)
            header.size = stream.tell()
            stream.seek(0)
            tar.addfile(header, stream)
    count = len(names)
    np.savez(
        folder / "labels.npz",
        names=np.array(names),
        identity=np.array([name.rsplit("_", 1)[0] for name in names]),
        landmarks=np.arange(count * 478 * 3).reshape(count, 478, 3).astype(np.int16),
        blendshapes=np.zeros((count, 52), np.uint8),
        transform=np.zeros((count, 4, 4), np.float32),
    )


def test_members_of_one_name_are_matched_by_order(tmp_path: Path):
    members = [("A_B_01.png", 10), ("A_B_01.png", 200), ("C_D_00.png", 90)]
    write_set(tmp_path / "faces_in_the_wild", members, [name for name, _ in members])
    photos = load_set(tmp_path, 0)
    assert [int(photos.image(index)[0, 0]) for index in range(3)] == [10, 200, 90]
    assert photos.image(1).shape == (24, 32)
    np.testing.assert_allclose(photos.landmarks[0, 0], np.array([0, 1, 2]) / 64)


def test_labels_in_another_order_are_refused(tmp_path: Path):
    write_set(tmp_path / "faces_in_the_wild", [("A_0.png", 1), ("B_0.png", 2)], ["B_0.png", "A_0.png"])
    with pytest.raises(DatasetError, match=r"expected picture B_0\.png next, found A_0\.png"):
        load_set(tmp_path, 0)


def test_a_tenth_of_identities_is_kept_out_for_good():
    kept = [name for name in (f"person_{index}" for index in range(2000)) if is_kept_out(name)]
    assert 150 < len(kept) < 250
    assert [name for name in (f"person_{index}" for index in range(40)) if is_kept_out(name)] == KEPT_OF_40


KEPT_OF_40 = [f"person_{index}" for index in (4, 13, 18, 24)]
