"""``facewright model``: files in, a model file out, errors in one line."""

from pathlib import Path

import pytest
from tests.unit.models.raw_head import raw_head
from tests.unit.models.test_importers import ict_file, surrey_file

from facewright.cli.main import main
from facewright.models.storage import load_face_model, read_origin

HEAD = raw_head()


def landmarks_file(path: Path) -> Path:
    listed = ", ".join(f'"{number}": {vertex}' for number, vertex in HEAD.anchors.items())
    path.write_text("{" + listed + "}")
    return path


def test_import_and_info(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = ict_file(tmp_path / "ict.npz"), tmp_path / "models" / "ict.safetensors"
    landmarks = landmarks_file(tmp_path / "landmarks.json")
    command = ["model", "import", "ict", str(source), "--out", str(out), "--landmarks", str(landmarks)]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert main(["model", "info", str(out)]) == 0
    assert capsys.readouterr().out == told.replace(f"written       {out}\n", "")
    assert "mouthSmileLeft" in told
    assert "MIT" in told
    assert read_origin(out).source == "ict: ict.npz"
    assert load_face_model(out).identity_count == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["import", "surrey", "raw", "--out", "a.safetensors", "--shape", "raw"], "takes no --shape"),
        (["import", "albedo_mm", "raw", "--out", "a.safetensors"], "by --shape"),
        (["import", "surrey", "raw", "--out", "a.npz"], "expected --out NAME.safetensors"),
        (["import", "surrey", "missing", "--out", "a.safetensors"], "found nothing at missing"),
        (["import", "surrey", "raw", "--out", "a.safetensors"], "landmark"),
        (["import", "surrey", "raw", "--out", "a.safetensors", "--landmarks", "raw"], "no list of landmarks"),
        (["import", "flame", "raw", "--out", "a.safetensors"], "cannot be read as a pickle"),
        (["info", "raw"], "not a whole safetensors file"),
    ],
)
def test_what_cannot_be_imported_is_told_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    surrey_file(tmp_path / "raw")
    assert main(["model", *arguments]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]
