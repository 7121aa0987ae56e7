"""``facewright register`` as a user runs it, on a small face in place of the shipped head."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.unit.pipeline.test_register import MODEL, write_landmarks, write_scan

from facewright.cli.exit_codes import DONE, SOME_FAILED, USAGE
from facewright.cli.main import main
from facewright.models import base
from facewright.pipeline import register


@pytest.fixture
def scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(base, "load_base_model", lambda: MODEL)
    monkeypatch.setattr(register, "load_base_model", lambda: MODEL)
    write_scan(tmp_path / "ann.obj")
    write_landmarks(tmp_path / "marks.json")
    return tmp_path / "ann.obj"


def run(scan: Path, *options: str) -> int:
    marks = scan.with_name("marks.json")
    return main(
        ["register", str(scan), "--out", str(scan.parent / "out"), "--landmarks", str(marks), *options]
    )


def test_a_scan_becomes_a_head_once(scan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = scan.parent / "out"
    options = ("--texture", "--texture-size", "64", "--unit", "mm")
    assert run(scan, *options) == DONE
    assert f"1 done: {out / 'report.json'}" in capsys.readouterr().out
    assert sorted(path.name for path in (out / "ann").iterdir()) == [
        "albedo.png",
        "head.glb",
        "head.mtl",
        "head.obj",
        "head.ply",
        "overview.png",
        "registration.json",
        "registration.npz",
    ]
    with Image.open(out / "ann" / "overview.png") as sheet:
        width, height = sheet.size
    assert height > 1.3 * width  # four rows of three: scan, shape, its colours, error
    told = json.loads((out / "ann" / "registration.json").read_text())
    assert told["head_from_scan"]["mm_per_unit"] == 1.0
    assert told["notes"]["settings"]["texture_size"] == 64
    assert run(scan, *options) == DONE
    assert "0 done, 1 done before" in capsys.readouterr().out
    # A region that is to bend more makes another head.
    with np.load(out / "ann" / "registration.npz") as arrays:
        before = arrays["vertices"]
    assert run(scan, *options, "--stiffness", "lips=0.02", "--stiffness", "face_tight=0.5") == DONE
    assert "1 done: " in capsys.readouterr().out
    told = json.loads((out / "ann" / "registration.json").read_text())
    assert told["notes"]["settings"]["pliancy"] == {"lips": 0.02, "face_tight": 0.5}
    with np.load(out / "ann" / "registration.npz") as arrays:
        moved = np.linalg.norm(arrays["vertices"] - before, axis=1)
    assert moved[MODEL.regions["lips"].numpy()].max() > 0.01


def test_what_cannot_be_run_is_said_before_anything_is_done(
    scan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(match: str, *options: str) -> None:
        assert run(scan, *options) == USAGE
        assert match in capsys.readouterr().err
        assert not (scan.parent / "out").exists()

    refused("--unit", "--unit", "feet")
    refused("--texture-size", "--texture-size", "9")
    refused("no region 'nostril'", "--stiffness", "nostril=0.5")
    for odd in ("lips", "lips=", "=2", "lips=soft", "lips=0", "lips=nan"):
        refused("REGION=FACTOR", "--stiffness", odd)
    refused("once for a region", "--stiffness", "lips=0.5", "--stiffness", "lips=0.6")
    scan.with_name("marks.json").unlink()
    refused("there is no file")
    out = str(scan.parent / "out")
    assert main(["register", str(scan), str(scan), "--out", out, "--landmarks", "marks.json"]) == USAGE
    assert "--landmarks belongs to one scan" in capsys.readouterr().err
    assert main(["register", "--out", out]) == USAGE
    assert "expected scans or folders" in capsys.readouterr().err


def test_a_scan_that_fails_is_counted(scan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan.write_text("v 1 2 3\n")
    assert run(scan) == SOME_FAILED
    assert "1 failed" in capsys.readouterr().out
    report = json.loads((scan.parent / "out" / "report.json").read_text())
    assert "ann.obj" in report["inputs"][0]["reason"]
