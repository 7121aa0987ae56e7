"""What became of each input."""

import json
from pathlib import Path

import pytest

from facewright.core.errors import OutputError
from facewright.core.files import write_json
from facewright.pipeline.report import Entry, Report


def entry(name: str, **changes) -> Entry:
    return Entry(**{"input": name, "path": f"/photos/{name}", "status": "done", "folders": (name,)} | changes)


def test_round_trip_keeps_order_and_replaces(tmp_path: Path) -> None:
    report = Report(tmp_path)
    for item in (entry("b"), entry("a"), entry("b", status="failed", folders=(), reason="no face")):
        report.record(item)
    report.finish()
    again = Report(tmp_path)
    assert list(again.entries) == ["/photos/b", "/photos/a"]
    assert again.entries == report.entries
    assert again.entries["/photos/b"].reason == "no face"


def test_a_long_report_is_not_written_after_every_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(path: Path, value: object) -> None:
        now[0] += 1
        written.append(now[0])
        write_json(path, value)

    now, written = [0.0], []
    monkeypatch.setattr("facewright.pipeline.report.write_json", slow)
    report = Report(tmp_path, clock=lambda: now[0])
    for index in range(100):
        report.record(entry(str(index)))
        now[0] += 0.5  # a photo
    assert written == [1, 22, 43]  # after writing for one second, twenty for the photos
    report.finish()
    assert len(written) == 4
    report.finish()
    assert len(written) == 4, "nothing new, nothing written"
    assert len(Report(tmp_path).entries) == 100


def test_a_disk_that_is_full_in_the_middle_of_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, text: str, **_: object) -> None:
        self.write_bytes(text.encode()[:40])
        raise OSError(28, "No space left on device")

    report = Report(tmp_path, clock=iter((0.0, 1.0, 2.0)).__next__)
    report.record(entry("a"))
    before = (tmp_path / "report.json").read_bytes()
    monkeypatch.setattr(Path, "write_text", full)
    report.record(entry("b"))
    with pytest.raises(OutputError, match="disk is full"):
        report.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert (tmp_path / "report.json").read_bytes() == before


def test_an_entry_that_could_not_be_written_is_written_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, value: object) -> None:
        raise OutputError("the disk is full.")

    monkeypatch.setattr("facewright.pipeline.report.write_json", full)
    report = Report(tmp_path)
    with pytest.raises(OutputError):
        report.record(entry("a"))
    monkeypatch.undo()
    report.finish()
    assert list(Report(tmp_path).entries) == ["/photos/a"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:40],
        lambda text: text.replace("facewright-report", "other"),
        lambda text: text.replace('"format_version": 1', '"format_version": 2'),
        lambda text: text.replace('"done"', '"maybe"'),
        lambda text: text.replace('"folders": [', '"folders": ["../..", '),
        lambda _: "[" * 100_000,
        lambda _: "[]",
    ],
)
def test_damaged_report_is_said_aloud(tmp_path: Path, damage, caplog: pytest.LogCaptureFixture) -> None:
    Report(tmp_path).record(entry("a"))
    assert len(Report(tmp_path).entries) == 1
    assert not caplog.records
    path = tmp_path / "report.json"
    path.write_text(damage(path.read_text()))
    assert Report(tmp_path).entries == {}
    assert "cannot be used" in caplog.text


def test_names_that_are_no_utf8_can_be_reported(tmp_path: Path) -> None:
    Report(tmp_path).record(entry("bad\udcff", folders=()))
    assert (
        json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["inputs"][0]["input"]
        == "bad\udcff"
    )
