"""Spectacles through the command line: synthetic photos of a head with some, and of one without."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facewright.cli.main import main
from facewright.data.sampling import OccluderSettings, PoseSettings, SamplingSettings
from facewright.data.synthesis import open_studio, sample
from facewright.models.base import load_base_model

QUICK = ("--no-photometric", "--texture-size", "256")
SEED, INDEX = 11, 4


def photo(folder: Path, *, worn: bool) -> Path:
    """The same person with and without spectacles; nothing else lies before the face."""
    occluders = OccluderSettings(
        hair=0.9, long_hair=0.0, glasses=float(worn), dark_glasses=0.0, hand=0.0, thing=0.0
    )
    settings = SamplingSettings(
        size=320, texture_size=256, pose=PoseSettings(turned=0.0), occluders=occluders
    )
    image = sample(open_studio(load_base_model(), settings), SEED, INDEX).image
    path = folder / f"{'worn' if worn else 'bare'}.png"
    Image.fromarray((image.permute(1, 2, 0).numpy() * 255 + 0.5).astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("glasses")
    photos = [str(photo(folder, worn=worn)) for worn in (True, False)]
    assert main(["reconstruct", *photos, "--out", str(folder / "out"), *QUICK]) == 0
    painted = ["reconstruct", photos[0], "--out", str(folder / "painted"), *QUICK, "--no-glasses"]
    assert main(painted) == 0
    return folder


def nodes(folder: Path) -> list[str]:
    data = (folder / "head.glb").read_bytes()
    (length,) = struct.unpack("<I", data[12:16])
    return [node["name"] for node in json.loads(data[20 : 20 + length])["nodes"]]


def told(folder: Path) -> dict | None:
    return json.loads((folder / "parameters.json").read_text())["notes"]["glasses"]


def test_spectacles_become_a_node_of_the_head_that_wears_them(heads: Path) -> None:
    assert "glasses" in nodes(heads / "out/worn")
    assert "glasses" not in nodes(heads / "out/bare")
    worn = told(heads / "out/worn")
    assert worn is not None
    assert 18 < worn["width"] < 34  # mm, half of a lens
    assert worn["dark"] is False
    assert told(heads / "out/bare") is None
    assert "glasses" not in (heads / "out/worn/head.obj").read_text()


def test_the_frame_is_taken_off_the_skin(heads: Path) -> None:
    """The frame of this photo is green, which no skin is."""
    green = {}
    for name in ("out/worn", "out/bare", "painted/worn"):
        red, own = np.asarray(Image.open(heads / name / "albedo.png"), dtype=float)[..., :2].transpose(
            2, 0, 1
        )
        green[name] = int((own > red + 4).sum())
    assert green["painted/worn"] > 40
    assert green["out/worn"] < 0.3 * green["painted/worn"]


def test_without_glasses_there_is_no_node(heads: Path) -> None:
    assert "glasses" not in nodes(heads / "painted/worn")
    assert told(heads / "painted/worn") is None
