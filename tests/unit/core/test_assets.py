"""The manifest of the shipped files."""

import json
import re
from pathlib import Path

import pytest

from facewright.cli.main import main
from facewright.core import assets
from facewright.core.errors import AssetError
from facewright.pipeline import training

ENTRY = {"sha256": "0" * 64, "bytes": 3, "licence": "CC0", "built_by": "a script"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(assets, "assets_folder", lambda: tmp_path)
    return tmp_path


def test_the_shipped_manifest_is_whole() -> None:
    assert all(assets.asset_path(name).is_file() for name in assets.read_manifest())


def script_of(built_by: str) -> Path | None:
    """The script, or the home of the training, that a manifest's entry names, if this checkout has it."""
    if trained := re.match(r"facewright train (\w+) ", built_by):
        return Path(training.__file__) if trained.group(1) in training.RECIPES else None
    named = re.search(r"scripts/[\w/]+\.py", built_by)
    path = Path(__file__).parents[3] / named.group() if named else None
    return path if path is not None and path.is_file() else None


def test_every_shipped_file_names_the_script_that_built_it() -> None:
    entries = assets.read_manifest()
    assert entries
    assert {name for name, entry in entries.items() if script_of(entry["built_by"]) is None} == set()
    assert script_of("python scripts/no_such_script.py --data x") is None
    assert script_of("facewright train nothing --out x") is None
    assert script_of("by hand") is None


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{",
        "[]",
        "7",
        "[" * 100_000,
        "\x80",
        json.dumps({"a": None}),
        json.dumps({"a": {**ENTRY, "bytes": "3"}}),
        json.dumps({"a": {**ENTRY, "sha256": 3}}),
        json.dumps({"a": {"sha256": "0"}}),
    ],
)
def test_a_damaged_manifest_is_one_clear_error(folder: Path, text: str | None) -> None:
    (folder / "manifest.json").write_text(json.dumps({"a": ENTRY}))
    assert assets.read_manifest() == {"a": ENTRY}
    (folder / "manifest.json").unlink()
    if text is not None:
        (folder / "manifest.json").write_bytes(text.encode("latin-1"))
    for reading in (assets.read_manifest, lambda: assets.asset_path("a")):
        with pytest.raises(AssetError, match=r"manifest\.json is missing or damaged"):
            reading()


def test_a_missing_manifest_stops_the_command_in_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reconstruct", "a.jpg", "--out", str(tmp_path / "out")]) == 2
    assert main(["model", "info"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert all("reinstall" in line for line in told)
