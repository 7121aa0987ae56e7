"""A photo becomes the same head on every device: detection, both fits, texture and writing."""

from pathlib import Path

import pytest
import torch
from skimage.data import astronaut

from facewright.image.io import photograph_from_array
from facewright.pipeline.reconstruct import Reconstructor
from facewright.pipeline.result import Reconstruction
from facewright.pipeline.settings import ReconstructionSettings


def _head(device: torch.device) -> Reconstruction:
    photo = photograph_from_array(astronaut()[:256, 128:384].copy())
    reconstructor = Reconstructor.load(ReconstructionSettings(texture_size=256), device)
    return reconstructor.reconstruct(photo)[0]


@pytest.fixture(scope="module")
def on_the_cpu() -> Reconstruction:
    return _head(torch.device("cpu"))


def test_a_photo_becomes_the_same_head(on_the_cpu: Reconstruction, device, tmp_path: Path) -> None:
    head = _head(device)
    assert head.fitted_px.device.type == device.type
    # On a device torch runs the networks, on the CPU onnxruntime; the rest differs by rounding only.
    for name, expected, found, close in (
        ("detected", on_the_cpu.detected_px, head.detected_px, 0.05),
        ("fitted", on_the_cpu.fitted_px, head.fitted_px, 0.05),
        ("albedo", on_the_cpu.albedo, head.albedo, 0.02),
    ):
        off = (found.cpu() - expected).abs().max()
        assert off < close, f"{name}: {off}"
    assert on_the_cpu.hair is not None
    assert head.hair is not None
    off = (head.hair.shell.offset.cpu() - on_the_cpu.hair.shell.offset).norm(dim=1).max()
    assert off < 0.5, f"hair: {off} mm"
    head.save(tmp_path / "head")
    assert (tmp_path / "head" / "head.glb").stat().st_size > 1e5
