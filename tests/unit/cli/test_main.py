"""Exit codes and one line an error; what a command does is tested where it is done."""

import errno
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import facewright
from facewright.cli.main import main
from facewright.core.errors import AssetError
from facewright.pipeline.inputs import PhotoInput
from facewright.pipeline.report import Entry, Report, Summary


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"facewright {facewright.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [[], ["--help"], ["reconstruct", "--help"], ["demo", "-h"], ["evaluate", "-h"], ["model", "-h"]],
)
def test_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert "usage: facewright" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"],
        ["reconstruct"],
        ["reconstruct", "a.jpg"],
        ["reconstruct", "--out", "x"],
        ["reconstruct", "a.jpg", "--out", "x", "--device", "tpu"],
        ["reconstruct", "a.jpg", "--out", "x", "--texture-size", "3"],
        ["reconstruct", "a.jpg", "--out", "x", "--texture-size", "8192"],
        ["reconstruct", "a.jpg", "--out", "x", "--together", "--all-faces"],
        ["model", "bogus"],
    ],
)
def test_usage_errors(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert not list(tmp_path.iterdir())


def test_model_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "info"]) == 0
    told = capsys.readouterr().out
    for words in ("jawOpen", "dense478 (478)", "base_head.safetensors", "CC0"):
        assert words in told


def test_missing_cuda_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["reconstruct", "a.jpg", "--out", str(tmp_path / "out"), "--device", "cuda"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_output_in_the_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["reconstruct", "a.jpg", "--out", str(tmp_path / "file")]) == 2
    assert "it is a file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("action", "number", "words"),
    [
        ("mkdir", errno.EACCES, "permission denied"),
        ("mkdir", errno.EROFS, "read-only"),
        ("write_bytes", errno.EACCES, "permission denied"),
        ("write_bytes", errno.ENOSPC, "disk is full"),
    ],
)
def test_an_output_folder_that_the_system_refuses(
    action: str,
    number: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(self: Path, *arguments: object, **options: object) -> object:
        if out in (self, self.parent):
            raise OSError(number, "refused", str(self))
        return allowed(self, *arguments, **options)

    out, allowed = tmp_path / "out", getattr(Path, action)
    monkeypatch.setattr(Path, action, refuse)
    assert main(["reconstruct", "a.jpg", "--out", str(out)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert words in told
    assert not out.exists() or not list(out.iterdir())


def test_missing_photo_and_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    assert main(["reconstruct", str(tmp_path / "no.jpg"), str(tmp_path / "empty"), "--out", str(out)]) == 1
    told = capsys.readouterr()
    assert told.err.count("failed") == told.err.count("\n") == 2
    assert told.out.startswith("0 done, 2 failed")


def test_report_that_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = Summary(1, 0, 0)
    monkeypatch.setattr("facewright.cli.reconstruct.reconstruct_into", lambda *_: summary)
    assert main(["reconstruct", "a.jpg", "--out", "x"]) == 0
    summary = Summary(1, 0, 0, "the disk is full.")
    capsys.readouterr()
    assert main(["reconstruct", "a.jpg", "--out", "x"]) == 1
    told = capsys.readouterr()
    assert "disk is full" in told.err
    assert told.out.startswith("1 done")


def test_mediapipe_is_asked_for_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "reconstruct",
        "a.jpg",
        "--out",
        str(tmp_path / "out"),
        "--mediapipe",
        str(tmp_path / "no.task"),
    ]
    for name in ("mediapipe", "mediapipe.tasks"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(command) == 2
    assert "pip install 'facewright[mediapipe]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_mediapipe_finds_the_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def finder(_: object) -> list:
        return []

    given = []

    def load(*_: object, finder: object = None) -> None:
        given.append(finder)
        raise AssetError("that is enough.")

    model, picture, out = tmp_path / "face_landmarker.task", tmp_path / "a.png", tmp_path / "out"
    model.write_bytes(b"a")
    Image.new("RGB", (64, 64)).save(picture)
    monkeypatch.setattr("facewright.detection.mediapipe.MediaPipeLandmarker.load", lambda _: finder)
    monkeypatch.setattr("facewright.pipeline.reconstruct.Reconstructor.load", load)
    versions = []
    for options in ([], ["--mediapipe", str(model)]):
        assert main(["reconstruct", str(picture), "--out", str(out), *options]) == 1
        (entry,) = json.loads((out / "report.json").read_text())["inputs"]
        versions.append(entry["made_with"])
    assert given == [None, finder]
    assert versions[0] != versions[1]  # so that neither passes for the other when a run is repeated


def test_the_demo_looks_where_the_report_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    portraits = {"first": tmp_path / "1.png"}
    monkeypatch.setattr("facewright.cli.demo.demo_portraits", lambda: portraits)
    monkeypatch.setattr("facewright.cli.demo.reconstruct_into", lambda *_: Summary(1, 0, 0))
    key = PhotoInput(portraits["first"]).key
    Report(tmp_path).record(Entry(input="1.png", path=key, status="done", folders=("first_2",)))
    assert main(["demo", "--out", str(tmp_path)]) == 0
    assert str(tmp_path / "first_2" / "overview.png") in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--model", "--mediapipe"])
def test_a_file_that_may_not_be_read_gets_one_line(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def denied(self: Path, *arguments: Any, **options: Any) -> object:
        if self == closed:
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *arguments, **options)

    closed, opened, out = tmp_path / "own.safetensors", Path.open, tmp_path / "out"
    closed.write_bytes(b"a")
    monkeypatch.setattr("facewright.detection.mediapipe.MediaPipeLandmarker.load", lambda _: list)
    monkeypatch.setattr(Path, "open", denied)
    assert main(["reconstruct", "a.jpg", "--out", str(out), option, str(closed)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "Permission denied" in told
    assert str(closed) in told


def test_an_error_of_the_system_gets_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr("facewright.cli.reconstruct.reconstruct_into", failing)
    error: Exception = OSError(5, "Input/output error", "/dev/photo")
    assert main(["reconstruct", "a.jpg", "--out", "x"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "/dev/photo" in told
    error = ZeroDivisionError("a bug")  # the control: a mistake of ours is not hidden
    with pytest.raises(ZeroDivisionError):
        main(["reconstruct", "a.jpg", "--out", "x"])


def test_interruption(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("facewright.cli.reconstruct.reconstruct_into", interrupted)
    assert main(["reconstruct", "a.jpg", "--out", "x"]) == 130
    assert "run the same command" in capsys.readouterr().err
