"""Two processes that share each batch learn what one learns that computes both halves; full disks."""

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_task import SETTINGS, WaveTask

from facewright.core.errors import OutputError
from facewright.training.journal import read_journal
from facewright.training.loop import train


def state(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "last.pt", weights_only=True)


def close(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    return all(torch.allclose(found[name], expected[name], rtol=1e-5, atol=1e-6) for name in expected)


def test_two_processes_are_one(tmp_path: Path) -> None:
    here = Path(__file__).parent
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    environment["PYTHONPATH"] = os.pathsep.join([str(here), os.environ["PYTHONPATH"]])
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [str(here / "toy_process.py"), str(tmp_path / "two")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    settings = replace(SETTINGS, accumulate=2)
    task = WaveTask(statistics=False)
    train(task, settings, tmp_path / "one", progress=False)
    train(task, replace(settings, steps=9), tmp_path / "shorter", progress=False)
    two, one, shorter = (state(tmp_path / name) for name in ("two", "one", "shorter"))
    assert two["identity"] == one["identity"]
    assert close(two["average"], one["average"])
    assert not close(two["average"], shorter["average"])
    lines = [
        {(line["step"], name): value for line in read_journal(tmp_path / folder / "journal.jsonl")
         for name, value in line.get("losses", {}).items()}
        for folder in ("one", "two")
    ]  # fmt: skip
    assert lines[0] == pytest.approx(lines[1], rel=1e-5)
    assert len(lines[0]) == 7


@pytest.mark.parametrize("full", ["last.pt", "best.safetensors", "journal.jsonl", "00000005_wave.png"])
def test_a_full_disk_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    train(WaveTask(), replace(SETTINGS, schedule="constant", steps=4), tmp_path, progress=False)
    before = {name: (tmp_path / name).read_bytes() for name in ("last.pt", "best.safetensors")}
    whole = Path.open

    class Full:
        """A stream on a disk without space: the first write fails."""

        def __init__(self, stream: Any) -> None:
            self.stream = stream

        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *_: object) -> None:
            self.stream.close()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.stream, name)

        def write(self, data: Any) -> int:
            self.stream.write(data[:5])
            raise OSError(errno.ENOSPC, "No space left on device")

    def opened(path: Path, mode: str = "r", *rest: Any, **named: Any) -> Any:
        stream = whole(path, mode, *rest, **named)
        named_so = path.name.strip(".").removesuffix(".partial") == full
        return Full(stream) if named_so and mode != "r" else stream

    monkeypatch.setattr(Path, "open", opened)
    if full.endswith("png"):
        from PIL import Image

        def save(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Image.Image, "save", save)
    settings = replace(SETTINGS, schedule="constant", steps=8, journal_every=5)
    with pytest.raises(OutputError, match="disk is full") as caught:
        train(WaveTask(), settings, tmp_path, progress=False)
    assert full in str(caught.value)
    monkeypatch.undo()
    assert (tmp_path / "last.pt").read_bytes() == before["last.pt"]
    if full != "journal.jsonl":
        assert not list(tmp_path.rglob("*.partial"))
    train(WaveTask(), settings, tmp_path, progress=False)
    assert [line["step"] for line in read_journal(tmp_path / "journal.jsonl")] == [3, 4, 4, 5, 5, 8, 8]
