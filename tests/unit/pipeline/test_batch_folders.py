"""Folders that a batch of photos leaves alone, replaces or removes: nothing of anybody else is lost."""

import json
import shutil
from pathlib import Path

from tests.unit.pipeline.test_batch import entries, files, photo, run

from facewright.pipeline.batch import Summary
from facewright.pipeline.folders import HEAD, HEAD_FILES, MARKER, NORMALS


def test_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "a").mkdir(parents=True)
    (out / "a" / "diary.txt").write_text("mine")
    run(out, [photo(tmp_path / "a.png", 1)])
    assert files(out) == ["a/diary.txt", "a_2", "report.json"]
    (out / "report.json").unlink()
    run(out, [tmp_path / "a.png"])  # without a report, the folder of the same photo is taken again
    assert files(out) == ["a/diary.txt", "a_2", "report.json"]
    foreign = '{"format_version": 1, "learning_rate": 0.1}'
    shutil.rmtree(out / "a_2")
    (out / "a_2").mkdir()
    (out / "a_2" / MARKER).write_text(foreign)  # parameters.json is not a rare name
    run(out, [tmp_path / "a.png"])
    assert files(out) == ["a/diary.txt", "a_2/parameters.json", "a_3", "report.json"]
    assert (out / "a_2" / MARKER).read_text() == foreign


def test_without_a_report_heads_of_other_photos_are_left_alone(tmp_path: Path) -> None:
    first, second = photo(tmp_path / "1" / "a.png", 1), photo(tmp_path / "2" / "a.png", 1, green=3)
    out = tmp_path / "out"
    run(out, [first])
    before = (out / "a" / MARKER).read_text()
    (out / "report.json").write_text("{")
    run(out, [second])
    assert files(out) == ["a", "a_2", "report.json"]
    assert (out / "a" / MARKER).read_text() == before


def test_heads_of_an_earlier_run_stay_listed_or_go(tmp_path: Path) -> None:
    path, out = photo(tmp_path / "a.png", 3), tmp_path / "out"
    run(out, [path], all_faces=True)
    assert files(out) == ["a", "a_face2", "a_face3", "report.json"]
    run(out, [path], force=True)
    assert entries(out)["a.png"]["folders"] == ["a"]
    assert files(out) == ["a", "report.json"]
    photo(path, 0)  # no face in it any more
    assert run(out, [path]) == Summary(0, 0, 1)
    assert entries(out)["a.png"]["folders"] == ["a"]
    photo(path, 2)
    assert run(out, [path]) == Summary(1, 0, 0)
    assert entries(out)["a.png"]["folders"] == ["a"]


def test_what_a_user_put_beside_a_head_stays(tmp_path: Path) -> None:
    path, out = photo(tmp_path / "a.png", 3), tmp_path / "out"
    run(out, [path], all_faces=True)
    for name in ("a", "a_face2"):
        (out / name / "hair.blend").write_text("a day of work")
    run(out, [path], force=True)
    assert files(out) == ["a", "a/hair.blend", "a_face2", "a_face2/hair.blend", "report.json"]
    assert (out / "a" / "hair.blend").read_text() == "a day of work"
    assert entries(out)["a.png"]["folders"] == ["a"]
    run(out, [path], all_faces=True, force=True)  # the folder that stayed is taken again
    assert entries(out)["a.png"]["folders"] == ["a", "a_face2", "a_face3"]
    assert (out / "a_face2" / "hair.blend").exists()


def test_a_head_with_relief_is_whole_with_its_map_of_normals_only(tmp_path: Path) -> None:
    for name in HEAD_FILES:
        (tmp_path / name).write_text("")
    for relief in (True, False):
        notes = {"photo_sha256": "abc", "settings": {"relief": relief}}
        told = {"format_version": 1, "facewright_version": "0", "notes": notes}
        (tmp_path / MARKER).write_text(json.dumps(told))
        assert HEAD.is_whole(tmp_path, "abc") is not relief
    (tmp_path / MARKER).write_text(json.dumps(told | {"notes": notes | {"settings": {"relief": True}}}))
    (tmp_path / NORMALS).write_text("")
    assert HEAD.is_whole(tmp_path, "abc")
