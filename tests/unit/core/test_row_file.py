"""Arrays that are written row by row: whole or not at all, and a full disk is told."""

import resource
from pathlib import Path

import numpy as np
import pytest

from facewright.core.errors import InputError, OutputError
from facewright.core.row_file import joined_digest, read_apart, row_file, rows_digest


def written(path: Path, blocks: list[np.ndarray]) -> str:
    with row_file(path, blocks[0].shape[1:], np.float32) as rows:
        for block in blocks:
            rows.append(block)
    assert rows.count == sum(map(len, blocks))
    return rows.digest


@pytest.mark.parametrize("counts", [[0], [1], [3, 9], [1000, 34]])
@pytest.mark.parametrize("shape", [(), (5, 2)])
def test_rows_come_back(tmp_path, counts, shape) -> None:
    blocks = [np.random.default_rng(n).standard_normal((n, *shape)).astype(np.float32) for n in counts]
    digest = written(tmp_path / "rows.npy", blocks)
    read = np.load(tmp_path / "rows.npy", mmap_mode="r", allow_pickle=False) if sum(counts) else None
    stored = np.load(tmp_path / "rows.npy", allow_pickle=False)
    assert np.array_equal(stored, np.concatenate(blocks))
    assert read is None or np.array_equal(read, stored)
    assert rows_digest(stored) == digest
    assert [path.name for path in tmp_path.iterdir()] == ["rows.npy"]


def test_other_rows_have_another_digest() -> None:
    rows = np.arange(6, dtype=np.uint8).reshape(3, 2)
    assert rows_digest(rows) != rows_digest(rows[::-1])
    assert joined_digest({"a": "1", "b": "2"}) == joined_digest({"b": "2", "a": "1"})
    assert joined_digest({"a": "1", "b": "2"}) != joined_digest({"a": "2", "b": "1"})


@pytest.mark.parametrize("limit", [1000, 100_000])
def test_a_full_disk_is_told(tmp_path, limit) -> None:
    blocks = [np.zeros((10, 100), np.float32)] * 5
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        if limit == 1000:
            with pytest.raises(OutputError, match=r"cannot write .*rows\.npy: .* allowed file size"):
                written(tmp_path / "rows.npy", blocks)
            assert list(tmp_path.iterdir()) == []
        else:  # the control: enough room
            written(tmp_path / "rows.npy", blocks)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def unread(folder: Path):
    yield np.zeros((1, 2))
    yield np.load(folder / "nowhere.npy")


def test_what_cannot_be_read_is_not_blamed_on_the_file(tmp_path) -> None:
    def write(blocks) -> None:
        with row_file(tmp_path / "a", (2,), "f4") as rows:
            for block in blocks:
                rows.append(block)

    with pytest.raises(InputError, match=r"cannot read .*nowhere\.npy"):
        write(read_apart(unread(tmp_path)))
    with pytest.raises(OutputError, match="cannot write"):  # the control: as it is without
        write(unread(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_rows_of_another_shape_are_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="expected rows"), row_file(tmp_path / "a", (2,), "f4") as rows:
        rows.append(np.zeros((1, 3)))
    assert list(tmp_path.iterdir()) == []
