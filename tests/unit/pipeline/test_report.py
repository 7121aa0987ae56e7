"""What became of each input."""

import json
from pathlib import Path

import pytest

from facewright.pipeline.report import Entry, Report


def entry(name: str, **changes) -> Entry:
    return Entry(**{"input": name, "path": f"/photos/{name}", "status": "done", "folders": (name,)} | changes)


def test_round_trip_keeps_order_and_replaces(tmp_path: Path) -> None:
    report = Report(tmp_path)
    for item in (entry("b"), entry("a"), entry("b", status="failed", folders=(), reason="no face")):
        report.record(item)
    again = Report(tmp_path)
    assert list(again.entries) == ["/photos/b", "/photos/a"]
    assert again.entries == report.entries
    assert again.entries["/photos/b"].reason == "no face"


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
