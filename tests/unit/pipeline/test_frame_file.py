"""Frames of depth cameras as files."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.unit.registration.test_rgbd import LENS, MODEL, finder, frame

from facewright.core.errors import InputError
from facewright.pipeline.batch import run_batch
from facewright.pipeline.frame_file import SUFFIX, read_frame_file
from facewright.pipeline.inputs import expand_inputs
from facewright.pipeline.register import SCANS, ScanRegistrar, read_scan_file, register_made_with
from facewright.pipeline.settings import BatchSettings
from facewright.registration.head import RegistrationSettings
from facewright.registration.rgbd import RgbdSettings


def write_frame(folder: Path, **changes: object) -> Path:
    image = frame()
    Image.fromarray((image.depth * 10).round().astype(np.uint16)).save(folder / "depth.png")
    Image.fromarray(image.colors).save(folder / "color.png")
    content = {"color": "color.png", "depth": "depth.png", "depth_scale": 0.1}
    content |= {"fx": LENS.fx, "fy": LENS.fy, "cx": LENS.cx, "cy": LENS.cy} | changes
    path = folder / "ann.rgbd.json"
    path.write_text(json.dumps(content))
    return path


def test_a_frame_is_read_and_registered(tmp_path: Path) -> None:
    path = write_frame(tmp_path)
    (tmp_path / "landmarks.json").write_text("{}")
    assert [item.path for item in expand_inputs([tmp_path], {".rgbd.json"}, "scans")] == [path]
    image = read_frame_file(path)
    np.testing.assert_allclose(image.depth, frame().depth, atol=0.051)
    assert image.intrinsics == LENS
    registrar = ScanRegistrar(MODEL, finder(), RegistrationSettings())
    result = registrar.reconstruct(read_scan_file(path))[0]
    assert result.face_distance < 0.4
    assert result.face_share > 0.9
    in_inches = ScanRegistrar(MODEL, finder(), RegistrationSettings(mm=25.4))
    with pytest.raises(InputError, match="neither --landmarks nor --unit"):
        in_inches.reconstruct(read_scan_file(path))


def test_the_settings_of_a_frame_run_and_are_told(tmp_path: Path) -> None:
    path = write_frame(tmp_path)

    def told(frames: RgbdSettings) -> dict:
        registrar = ScanRegistrar(MODEL, finder(), RegistrationSettings(), frames=frames)
        return registrar.reconstruct(read_scan_file(path))[0].summary()

    shown, alone = told(RgbdSettings(drawn=False)), told(RgbdSettings(drawn=False).depth_alone())
    settings = [summary["notes"]["settings"] for summary in (shown, alone)]
    assert [chosen["edges"] for chosen in settings] == [RgbdSettings().edges, 0.0]
    assert settings[0]["registration"]["nonrigid"]["stages"][0]["stiffness"] == 1.0
    assert shown["identity"] != alone["identity"]
    # A batch that is resumed tells them apart as well.
    made = [
        register_made_with(RegistrationSettings(), None, None, frames)
        for frames in (None, RgbdSettings(), RgbdSettings(across=0.1))
    ]
    assert made[0] == made[1] != made[2]
    json.dumps(made)


def test_a_frame_is_done_again_when_a_picture_changes(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path, out = write_frame(tmp_path / "in"), tmp_path / "out"

    def run() -> tuple[int, int]:
        summary = run_batch(
            expand_inputs([path], {SUFFIX}, "scans"),
            out,
            lambda: ScanRegistrar(MODEL, finder(), RegistrationSettings()),
            BatchSettings(),
            {},
            progress=False,
            kind=SCANS,
        )
        return summary.done, summary.skipped

    assert run() == (1, 0)
    assert run() == (0, 1)
    digests = {SCANS.digest(path, SCANS.max_bytes)}
    for name in ("depth.png", "color.png"):
        there = path.parent / name
        changed = np.asarray(Image.open(there)).copy()
        changed[0, 0] = 7
        Image.fromarray(changed).save(there)
        digests.add(SCANS.digest(path, SCANS.max_bytes))
    assert len(digests) == 3
    assert run() == (1, 0)
    # The control: a file beside it that it does not name changes nothing.
    (path.parent / "other.png").write_bytes(b"7")
    assert run() == (0, 1)


def test_bad_frame_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    outside = tmp_path / "secret.png"
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(outside)

    def refused(match: str, **changes: object) -> None:
        with pytest.raises(InputError, match=match):
            read_frame_file(write_frame(tmp_path / "inside", **changes))

    refused("in the folder", depth="../secret.png")
    refused("in the folder", color=str(outside))
    refused("in the folder", depth="nothing.png")
    refused("a number for fx", fx="400")
    refused("a number for fy", fy=True)
    refused("file name for depth", depth=7)
    refused("depth_scale", depth_scale=-1)
    refused("grey PNG", depth="color.png")
    refused("metres", depth_scale=0.0001)
    (tmp_path / "inside" / "link.png").symlink_to(outside)
    refused("in the folder", depth="link.png")
    (tmp_path / "inside" / "cut.png").write_bytes((tmp_path / "inside" / "depth.png").read_bytes()[:2000])
    refused("no picture of depth", depth="cut.png")
    broken = tmp_path / "broken.json"
    for text in ("{", "[1]", "[" * 100_000):
        broken.write_text(text)
        with pytest.raises(InputError, match=r"no JSON file|describes no frame"):
            read_frame_file(broken)
