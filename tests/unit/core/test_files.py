"""Whole files and folders, or none."""

import errno
import json
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from facewright.core import files
from facewright.core.errors import OutputError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail_in(writing: AbstractContextManager[Path], error: type[BaseException]) -> None:
    with writing as partial:
        (partial / "new" if partial.is_dir() else partial).write_text("half")
        raise error


def test_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.txt"
    with files.atomic_file(target) as partial:
        partial.write_text("half")
        assert not target.exists()
    assert target.read_text() == "half"
    assert names(target.parent) == ["a.txt"]


def test_failed_file_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError):
        fail_in(files.atomic_file(tmp_path / "a.txt"), RuntimeError)
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.parametrize("interruption", [RuntimeError, KeyboardInterrupt])
def test_failed_folder_leaves_the_old_one(tmp_path: Path, interruption: type[BaseException]) -> None:
    (tmp_path / "head").mkdir()
    (tmp_path / "head" / "old").touch()
    with pytest.raises(interruption):
        fail_in(files.atomic_folder(tmp_path / "head", replaceable=lambda _: True), interruption)
    assert names(tmp_path) == ["head"]
    assert names(tmp_path / "head") == ["old"]


def test_folder_replaces_the_old_one_and_clears_stale_parts(tmp_path: Path) -> None:
    for stale in ("head", ".head.partial", ".head.replaced.partial"):
        (tmp_path / stale).mkdir()
        (tmp_path / stale / "old").touch()
    with files.atomic_folder(tmp_path / "head", replaceable=lambda _: True, names=["old"]) as partial:
        (partial / "new").touch()
    assert names(tmp_path) == ["head"]
    assert names(tmp_path / "head") == ["new"]


def test_what_is_no_part_of_a_result_outlives_it(tmp_path: Path) -> None:
    head, retired = tmp_path / "head", tmp_path / ".head.replaced.partial"
    (head / "hair").mkdir(parents=True)
    (head / "hair" / "comb.txt").write_text("mine")
    for name in ("old", ".old.partial", "new"):
        (head / name).write_text("earlier")
    retired.mkdir()  # what a run leaves that is killed before it brought everything along
    (retired / "notes.txt").write_text("mine, too")
    with files.atomic_folder(head, replaceable=lambda _: True, names=["old"]) as partial:
        (partial / "new").write_text("now")
    assert names(tmp_path) == ["head"]
    assert names(head) == ["hair", "new", "notes.txt"]
    assert (head / "new").read_text() == "now"
    assert (head / "hair" / "comb.txt").read_text() == "mine"


def test_a_folder_of_others_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "head").mkdir()
    with files.atomic_folder(tmp_path / "head") as partial:  # the control: nothing is lost
        (partial / "thesis.txt").touch()
    (tmp_path / "link").symlink_to("head")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "linked_file").symlink_to("file")
    monkeypatch.chdir(tmp_path)
    before = names(tmp_path)
    for taken in ("head", "link", "file", "linked_file", ".", "/"):
        with pytest.raises(OutputError, match="cannot write"), files.atomic_folder(Path(taken)):
            raise AssertionError("nothing is computed for a folder that cannot be written")
    assert names(tmp_path) == before
    assert names(tmp_path / "head") == ["thesis.txt"]
    assert (tmp_path / "file").read_text() == "mine"


def test_what_came_while_the_block_ran_is_kept(tmp_path: Path) -> None:
    def meanwhile() -> None:
        with files.atomic_folder(tmp_path / "head"):
            (tmp_path / "head").mkdir()
            (tmp_path / "head" / "thesis.txt").touch()

    with pytest.raises(OutputError, match="other files"):
        meanwhile()
    assert names(tmp_path) == ["head"]
    assert names(tmp_path / "head") == ["thesis.txt"]


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "head").mkdir()
    (tmp_path / "link").symlink_to("head")
    with files.atomic_folder(tmp_path / "link") as partial:
        (partial / "new").touch()
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path / "head") == ["new"]


def test_failing_renames_keep_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "head").mkdir()
    (tmp_path / "head" / "old").touch()
    rename, calls = Path.rename, []

    def first_only(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) > 1:
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", first_only)
    with (
        pytest.raises(OutputError, match="kept as"),
        files.atomic_folder(tmp_path / "head", replaceable=lambda _: True),
    ):
        pass
    monkeypatch.undo()
    assert names(tmp_path) == [".head.replaced.partial"]
    with (
        pytest.raises(ZeroDivisionError),
        files.atomic_folder(tmp_path / "head", replaceable=lambda _: True),
    ):
        raise ZeroDivisionError
    assert names(tmp_path / "head") == ["old"]  # the next run brings it back


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "disk is full"), (errno.EACCES, "permission"), (errno.EIO, "error")]
)
def test_system_errors_become_one_line(tmp_path: Path, number: int, words: str) -> None:
    with pytest.raises(OutputError, match=words) as caught, files.atomic_folder(tmp_path / "head"):
        raise OSError(number, "Input/output error")
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == []


def test_error_of_a_file_in_a_folder_names_the_final_place(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught, files.atomic_folder(tmp_path / "head") as partial:
        files.write_json(partial / "a.txt" / "b.json", (partial / "a.txt").write_text("in the way"))
    assert str(tmp_path / "head" / "a.txt") in str(caught.value)
    assert "partial" not in str(caught.value)


def test_other_errors_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), files.atomic_folder(tmp_path / "head"):
        raise ZeroDivisionError


def test_json_refuses_what_json_cannot_hold(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"é": [1, None]})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"é": [1, None]}
    with pytest.raises(ValueError, match="Out of range"):
        files.write_json(tmp_path / "a.json", float("nan"))
    assert names(tmp_path) == ["a.json"]


def test_a_sweep_takes_what_a_killed_run_left_and_nothing_else(tmp_path: Path) -> None:
    ours = (".half.partial", ".done.replaced.partial", ".lost.replaced.partial")
    for name in (*ours, ".mine.partial", "done"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "head.obj").write_text(name)
    (tmp_path / ".half.partial" / ".head.glb.partial").touch()
    (tmp_path / ".mine.partial" / "thesis.txt").touch()
    (tmp_path / ".link.partial").symlink_to("done")
    (tmp_path / ".facewright-1.partial").touch()
    with files.only_writer(tmp_path):
        files.sweep(tmp_path, ("head.obj", "head.glb"))
        assert (tmp_path / ".facewright.lock.partial").exists()
    assert names(tmp_path) == [".link.partial", ".mine.partial", "done", "lost"]
    assert (tmp_path / "done" / "head.obj").read_text() == "done"
    assert (tmp_path / "lost" / "head.obj").read_text() == ".lost.replaced.partial"
    assert names(tmp_path / ".mine.partial") == ["head.obj", "thesis.txt"]


def test_a_lock_that_cannot_be_deleted_while_it_is_held_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "it is open")

    with files.only_writer(tmp_path):
        monkeypatch.setattr(Path, "unlink", refused)
    monkeypatch.undo()
    with files.only_writer(tmp_path):  # the control: it is free again
        assert names(tmp_path) == [".facewright.lock.partial"]
    assert names(tmp_path) == []


def test_writable_folder(tmp_path: Path) -> None:
    files.make_writable_folder(tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == []
    (tmp_path / "file").touch()
    for blocked in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match="file"):
            files.make_writable_folder(blocked)
