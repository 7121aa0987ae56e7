"""Exit codes and one line an error; what a command does is tested where it is done."""

from pathlib import Path

import pytest

import facewright
from facewright.cli.main import main


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"facewright {facewright.__version__}\n"


@pytest.mark.parametrize(
    "arguments", [[], ["--help"], ["reconstruct", "--help"], ["demo", "-h"], ["model", "-h"]]
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


def test_missing_photo_and_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    assert main(["reconstruct", str(tmp_path / "no.jpg"), str(tmp_path / "empty"), "--out", str(out)]) == 1
    told = capsys.readouterr()
    assert told.err.count("failed") == told.err.count("\n") == 2
    assert told.out.startswith("0 done, 2 failed")


def test_interruption(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("facewright.cli.reconstruct.reconstruct_into", interrupted)
    assert main(["reconstruct", "a.jpg", "--out", "x"]) == 130
    assert "run the same command" in capsys.readouterr().err
