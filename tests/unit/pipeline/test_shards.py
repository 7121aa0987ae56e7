"""Shards: bytes that depend on content alone, and damage that is seen."""

import json
import tarfile

import pytest

from facewright.core.errors import InputError
from facewright.data.shard_reader import read_shard, sidecar_of
from facewright.pipeline.shards import LONGER, MISSING, SHORTER, Shard, record_shard, whole_shard, write_shard

SAMPLES = [("000000000", {"jpg": b"picture", "json": b"{}"}), ("000000001", {"json": b"[]", "jpg": b"other"})]
ROWS = [{"yaw_deg": 1.0}, {"yaw_deg": 2.0}]


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "000000.tar"
    write_shard(path, SAMPLES)
    record_shard(path, 0, ROWS)
    return path


def test_samples_come_back_in_order(shard) -> None:
    assert [(key, dict(files)) for key, files in read_shard(shard)] == SAMPLES
    with tarfile.open(shard) as archive:
        members = archive.getmembers()
    names = [member.name for member in members]
    assert names == sorted(names)
    assert {(m.mtime, m.uid, m.gid, m.uname) for m in members} == {(0, 0, 0, "")}


def test_bytes_depend_on_content_alone(shard, tmp_path) -> None:
    again = tmp_path / "again.tar"
    turned = [(key, dict(reversed(files.items()))) for key, files in SAMPLES]
    write_shard(again, turned)
    assert again.read_bytes() == shard.read_bytes()


def test_a_failure_leaves_nothing(tmp_path) -> None:
    def broken():
        yield SAMPLES[0]
        raise InputError("stopped")

    with pytest.raises(InputError, match="stopped"):
        write_shard(tmp_path / "000000.tar", broken())
    assert list(tmp_path.iterdir()) == []


def test_a_whole_shard_is_known_by_its_checksum(shard) -> None:
    found = whole_shard(shard, 0, 2)
    assert isinstance(found, Shard)
    assert found.statistics == ROWS
    assert "other samples" in str(whole_shard(shard, 2, 2))
    assert whole_shard(shard, 0, 1) == LONGER
    assert whole_shard(shard, 0, 3) == SHORTER
    assert whole_shard(shard.with_name("000001.tar"), 0, 2) == MISSING


def flipped(shard) -> None:
    content = bytearray(shard.read_bytes())
    content[600] ^= 1
    shard.write_bytes(content)


def cut(shard) -> None:
    shard.write_bytes(shard.read_bytes()[:1000])


def no_sidecar(shard) -> None:
    sidecar_of(shard).unlink()


def strange_sidecar(shard) -> None:
    sidecar_of(shard).write_text('{"name": 3}')


def strange_statistics(shard) -> None:
    content = json.loads(sidecar_of(shard).read_text())
    sidecar_of(shard).write_text(json.dumps({**content, "statistics": [{"yaw_deg": "far"}, {}]}))


@pytest.mark.parametrize("damage", [flipped, cut, no_sidecar, strange_sidecar, strange_statistics])
def test_damage_is_seen(shard, damage) -> None:
    damage(shard)
    assert "damaged" in str(whole_shard(shard, 0, 2))


# Of SAMPLES: four members of a header and a block each, then the end.
CUTS = {
    "empty": 0,
    "in a header": 700,
    "in the first content": 515,
    "after a header": 1536,
    "between members": 1024,
    "in the second header": 1300,
    "after a sample": 2048,
    "before the end": 4096,
    "in the end": 4096 + 700,
}


@pytest.mark.parametrize("left", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("sidecar", [True, False])
def test_reading_a_cut_shard_is_a_clear_error(shard, left, sidecar) -> None:
    if not sidecar:
        no_sidecar(shard)
    shard.write_bytes(shard.read_bytes()[:left])
    with pytest.raises(InputError, match="make it again"):
        list(read_shard(shard))


def test_an_archive_of_others_may_end_after_its_last_blocks(shard) -> None:
    no_sidecar(shard)
    shard.write_bytes(shard.read_bytes()[: 4096 + 1024])  # without the padding that Python adds
    assert len(list(read_shard(shard))) == 2


def test_a_shard_that_is_not_the_one_of_its_sidecar_is_told(shard) -> None:
    write_shard(shard, SAMPLES[:1])
    with pytest.raises(InputError, match="tells of 2"):
        list(read_shard(shard))


def test_a_foreign_archive_is_refused(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with tarfile.open(tmp_path / "other.tar", "w") as archive:
        archive.add(tmp_path / "file", "folder/../file")
    with pytest.raises(InputError, match="expected files of samples"):
        list(read_shard(tmp_path / "other.tar"))
