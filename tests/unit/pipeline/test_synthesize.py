"""``facewright synthesize``: the same bytes however a set was made, and nothing foreign overwritten."""

import io
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.miniature_head import miniature_model

from facewright.cli.main import main
from facewright.cli.synthesize import SyntheticName, standard_output
from facewright.core.device import DeviceName
from facewright.core.errors import OutputError
from facewright.data.protocols import PHOTO_PROTOCOLS, SCAN_PROTOCOLS
from facewright.data.sampling import SamplingSettings
from facewright.data.shard_reader import ShardSet, read_shard
from facewright.data.synthesis import sample
from facewright.models.storage import ModelOrigin, save_face_model
from facewright.pipeline.frame_file import read_frame_file
from facewright.pipeline.sample_files import DEPTH_STEP, FRAME_FILES, MASK_BITS, PHOTO_FILES, SCAN_FILES
from facewright.pipeline.synthesize import SynthesisSettings, _studio, _told, synthesize_into

CELEBA = "synthetic-celeba"


def run(out: Path, *options: str) -> int:
    return main(["synthesize", CELEBA, "--count", "3", "--shard-size", "2", "--out", str(out), *options])


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "shards").iterdir()}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("set") / "out"
    assert run(out) == 0
    return out


@pytest.fixture
def copied(made, tmp_path) -> Path:
    import shutil

    return Path(shutil.copytree(made, tmp_path / "out"))


def test_a_set_has_what_was_announced(made) -> None:
    assert {path.name for path in made.iterdir()} == {
        "shards",
        "settings.json",
        "report.json",
        "contact_sheet.png",
        "statistics.png",
    }
    report = json.loads((made / "report.json").read_text())
    assert [shard["count"] for shard in report["shards"]] == [2, 1]
    assert report["statistics"]["skin_lightness"]["least"] > 10
    samples = [item for name in ("000000.tar", "000001.tar") for item in read_shard(made / "shards" / name)]
    assert [key for key, _ in samples] == ["000000000", "000000001", "000000002"]
    assert all(tuple(sorted(files)) == PHOTO_FILES for _, files in samples)
    assert Image.open(made / "contact_sheet.png").width == 3 * 160 + 2 * 2


def test_the_files_hold_the_sample(made) -> None:
    (_, files), *_ = read_shard(made / "shards" / "000000.tar")
    truth = sample(_studio(SamplingSettings(), None, None, "cpu"), 0, 0)
    depth = np.asarray(Image.open(io.BytesIO(files["depth.png"]))) * DEPTH_STEP
    assert np.abs(depth - truth.depth.numpy()).max() <= DEPTH_STEP / 2 + 1e-3
    bits = np.asarray(Image.open(io.BytesIO(files["masks.png"])))
    for name, bit in MASK_BITS.items():
        assert np.array_equal(bits & bit > 0, getattr(truth.masks, name).numpy())
    normals = (np.asarray(Image.open(io.BytesIO(files["normals.png"]))).astype(float) - 128) / 127
    there = truth.masks.head.numpy()
    assert np.abs(normals - truth.normals.numpy())[there].max() < 0.005
    assert files["jpg"] == truth.image_file
    assert np.array_equal(np.load(io.BytesIO(files["vertices.npy"])), truth.vertices.numpy())
    told = json.loads(files["json"])
    camera, pose = told["camera"], told["camera_from_head"]
    points = truth.vertices.double().numpy() @ np.array(pose["rotation"]).T + pose["translation"]
    pixels = camera["focal"] * points[:, :2] / points[:, 2:] + camera["principal"]
    at = truth.parameters
    expected = at.camera.project(at.pose.camera_from_head(truth.vertices[None]))[0, :, :2]
    assert np.abs(pixels - expected.numpy()).max() < 0.01
    assert torch.allclose(torch.tensor(told["landmarks478"]), truth.landmarks478, atol=1e-3)


def test_a_second_run_keeps_what_is_whole_and_mends_what_is_not(
    copied, made, capsys: pytest.CaptureFixture[str]
) -> None:
    stamp = (copied / "shards/000000.tar").stat().st_mtime_ns
    content = (copied / "shards/000001.tar").read_bytes()
    (copied / "shards/000001.tar").write_bytes(content[: len(content) // 2])
    assert run(copied) == 0
    told = capsys.readouterr()
    assert "000001.tar: it is damaged" in told.err
    assert "1 shards made, 1 of them in place of damaged ones, 1 kept" in told.out
    assert (copied / "shards/000000.tar").stat().st_mtime_ns == stamp
    assert contents(copied) == contents(made)
    assert run(copied) == 0
    assert "0 shards made, 2 kept" in capsys.readouterr().out


def test_more_samples_of_the_same_run(copied, made, capsys: pytest.CaptureFixture[str]) -> None:
    (copied / "shards/000000.tar").unlink()
    assert run(copied, "--count", "4", "--workers", "2", "--batch", "3") == 0
    assert contents(copied)["000000.tar"] == contents(made)["000000.tar"]  # by another process
    assert len(list(read_shard(copied / "shards/000001.tar"))) == 2
    told = capsys.readouterr()
    assert "2 shards made, 1 of them in place of shorter ones." in told.out
    assert "damaged" not in told.out + told.err


@pytest.mark.parametrize("count", [2, 1])
def test_fewer_samples_are_refused(copied, made, count, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(copied, "--count", str(count)) == 2
    assert "holds more than" in capsys.readouterr().err
    assert contents(copied) == contents(made)
    assert len(ShardSet.open(copied)) == 3


def test_a_killed_run_is_gone_on_with(tmp_path, made) -> None:
    out, shards = tmp_path / "out", tmp_path / "out/shards"
    command = [sys.executable, "-m", "facewright.cli", "synthesize", CELEBA, "--count", "3"]
    command += ["--shard-size", "2", "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as killed:
        ends = time.monotonic() + 120
        while not (shards / ".000000.tar.partial").exists() and time.monotonic() < ends:
            time.sleep(0.005)
        killed.kill()
    assert [path.name for path in shards.iterdir()] == [".000000.tar.partial"]  # no shard is half there
    (shards / ".000009.tar.partial").write_bytes(b"of a shard that is not asked for again")
    assert run(out) == 0
    assert contents(out) == contents(made)


def test_a_full_disk_is_told_and_the_run_goes_on_later(
    copied, made, capsys: pytest.CaptureFixture[str]
) -> None:
    (copied / "shards/000001.tar").unlink()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        assert run(copied) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    error = capsys.readouterr().err
    assert "000001.tar" in error
    assert "exceed the allowed file size" in error
    assert {path.name for path in (copied / "shards").iterdir()} == set(contents(made)) - {"000001.tar"}
    assert run(copied) == 0
    assert contents(copied) == contents(made)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stream_is_one_shard_of_all_samples(made, tmp_path, workers, capfdbinary) -> None:
    command = ["synthesize", CELEBA, "--count", "3", "--batch", "2", "--stream", "--workers", str(workers)]
    assert main(command) == 0
    told = capfdbinary.readouterr()
    (tmp_path / "000000.tar").write_bytes(told.out)
    shards = [made / "shards" / name for name in ("000000.tar", "000001.tar")]
    assert list(read_shard(tmp_path / "000000.tar")) == [item for path in shards for item in read_shard(path)]
    assert len(told.out) == 10_240 * -(-len(told.out) // 10_240)  # nothing else was printed there
    assert not told.err


def test_what_is_printed_meanwhile_does_not_come_into_the_stream(capfdbinary) -> None:
    with standard_output() as target:
        sys.stdout.write("a library's remark")
        target.write(b"samples")
    sys.stdout.write(" and after")
    sys.stdout.flush()
    told = capfdbinary.readouterr()
    assert told.out == b"samples and after"
    assert told.err == b"a library's remark"


@pytest.mark.parametrize("where", [["--stream", "--out", "x"], []])
def test_a_stream_goes_to_one_place(where, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["synthesize", CELEBA, "--count", "1", *where]) == 2
    assert "either --out DIR or --stream" in capsys.readouterr().err


def test_another_run_is_refused(copied, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(copied)
    assert run(copied, "--seed", "1") == 2
    assert "another run (seed 0, not 1)" in capsys.readouterr().err
    (copied / "settings.json").write_text("[")
    assert run(copied) == 2
    assert "damaged" in capsys.readouterr().err
    assert contents(copied) == before


def test_a_foreign_folder_is_refused(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    assert run(tmp_path) == 2
    assert "thesis.txt" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--count", "0"], "count of 1"),
        (["--shard-size", "0"], "samples a shard"),
        (["--workers", "0"], "workers"),
        (["--batch", "0"], "batch of 1"),
        pytest.param(
            ["--device", "cuda"],
            "found none",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device"),
        ),
        (["--seed", "-1"], "seed of at least 0"),
        (["--model", "nowhere.safetensors"], "nowhere.safetensors"),
        (["--backgrounds", "nowhere"], "no folder nowhere"),
    ],
)
def test_bad_settings(options, told, tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "out", *options) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_model_that_cannot_be_photographed_leaves_no_trace(
    tmp_path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "miniature.safetensors"
    save_face_model(file, miniature_model(), ModelOrigin("CC0-1.0", "a test", "a test"))
    assert run(tmp_path / "out", "--model", str(file)) == 2
    assert "expected 'ibug68'" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_scans_are_made_on_the_cpu(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    assert main(["synthesize", "synthetic-stirling", "--device", "cuda", "--out", out]) == 2
    assert "made on the CPU" in capsys.readouterr().err


def test_an_unknown_protocol_and_too_many_scans(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["synthesize", "celeba", "--out", str(tmp_path / "out")]) == 2
    assert main(["synthesize", "synthetic-stirling", "--count", "929", "--out", str(tmp_path / "out")]) == 2
    assert "at most 928" in capsys.readouterr().err
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file"):
        synthesize_into(tmp_path / "file", SynthesisSettings(CELEBA, 1))


def test_the_command_line_knows_every_protocol() -> None:
    assert set(SyntheticName.__args__) == {*PHOTO_PROTOCOLS, *SCAN_PROTOCOLS}


def extracted(out: Path, folder: Path) -> None:
    for key, files in read_shard(out / "shards/000000.tar"):
        for suffix, content in files.items():
            (folder / f"{key}.{suffix}").write_bytes(content)


def test_scans_and_frames_are_read_by_the_other_commands(tmp_path) -> None:
    from facewright.evaluation.inputs import read_sample

    for name, files in (("synthetic-stirling", SCAN_FILES), ("synthetic-florence", FRAME_FILES)):
        out, folder = tmp_path / name, tmp_path / f"{name}-files"
        folder.mkdir()
        synthesize_into(out, SynthesisSettings(name, 1), progress=False)
        (_, held), *_ = read_shard(out / "shards/000000.tar")
        assert tuple(sorted(held)) == files
        extracted(out, folder)
    scan = read_sample(tmp_path / "synthetic-stirling-files/0000_000.ply", None, "mm")
    assert 75 < scan.landmarks.outer_interocular < 110
    frame = read_frame_file(tmp_path / "synthetic-florence-files/0000_000.rgbd.json")
    assert 300 < np.median(frame.depth[frame.depth > 0]) < 700


def test_a_gpu_s_run_is_of_its_batch_and_a_cpu_s_of_none() -> None:
    protocol = PHOTO_PROTOCOLS["synthetic-celeba"]

    def told(device: DeviceName, batch: int | None) -> object:
        return _told(SynthesisSettings(protocol.name, device=device, batch=batch), protocol)["batch"]

    assert told("cpu", None) == told("cpu", 3)
    assert told("cuda", None) == told("cuda", 64) != told("cuda", 32)
