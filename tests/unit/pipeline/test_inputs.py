"""From what a user names to photos."""

import hashlib
import os
from pathlib import Path

from facewright.pipeline.inputs import content_digest, expand_inputs


def test_folders_give_their_photos_in_order(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "notes.txt", ".hidden.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "inner.jpg").mkdir()
    assert [photo.path.name for photo in expand_inputs([tmp_path])] == ["a.png", "b.JPG"]


def test_a_named_file_is_tried_whatever_its_suffix(tmp_path: Path) -> None:
    (tmp_path / "scan.dat").touch()
    (photo,) = expand_inputs([tmp_path / "scan.dat"])
    assert photo.problem is None


def test_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    names = [
        tmp_path / "a.png",
        tmp_path,
        tmp_path / "." / "a.png",
        tmp_path / ".." / tmp_path.name / "a.png",
    ]
    assert len(expand_inputs(names)) == 1
    (tmp_path / "b.png").touch()
    assert len(expand_inputs(names)) == 2


def test_missing_paths_and_empty_folders_are_kept_with_their_problem(tmp_path: Path) -> None:
    missing, empty, odd = expand_inputs([tmp_path / "no.jpg", tmp_path, Path("a\0b.jpg")])
    assert "no file or folder" in str(missing.problem)
    assert "has no photos" in str(empty.problem)
    assert odd.problem is not None


def test_pipes_and_devices_are_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", Path("/dev/zero")):
        (photo,) = expand_inputs([path])
        assert "pipe or device" in str(photo.problem)
        assert content_digest(path, 100) == ""


def test_only_what_may_be_a_photo_is_hashed(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"facewright")
    assert content_digest(tmp_path / "a.jpg", 9) == ""
    assert content_digest(tmp_path / "a.jpg", 10) == hashlib.sha256(b"facewright").hexdigest()
