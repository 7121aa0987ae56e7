"""What a result says that it was made with: the shipped files that were read, and no others."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from facewright.core import assets
from facewright.core.errors import AssetError
from facewright.pipeline.reconstruct import Reconstructor
from facewright.pipeline.register import ScanRegistrar, register_made_with
from facewright.pipeline.settings import BatchSettings, ReconstructionSettings
from facewright.pipeline.versions import CENTRE, OF_LANDMARKS, made_with
from facewright.registration.head import RegistrationSettings

CPU = torch.device("cpu")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The shipped files that were read."""
    names: set[str] = set()
    checksum = assets.sha256

    def noted(path: Path) -> str:
        names.add(path.name)
        return checksum(path)

    monkeypatch.setattr(assets, "sha256", noted)
    return names


@pytest.mark.parametrize(
    "settings",
    [
        ReconstructionSettings(texture_size=64, method="specular"),
        ReconstructionSettings(texture_size=64, method="sphere"),
    ],
    ids=lambda settings: settings.method,
)
def test_a_head_names_the_files_that_it_was_made_with(
    settings: ReconstructionSettings, read: set[str]
) -> None:
    told = made_with(settings, BatchSettings())["assets"]
    assert not read
    Reconstructor.load(settings, CPU)
    assert set(told) == read
    assert all(len(digest) == 16 for digest in told.values())
    assert "sphere.safetensors" in assets.read_manifest(), "the control: there are others"


def test_files_of_a_users_own_take_the_place_of_shipped_ones(read: set[str], tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_bytes(b"weights")
    plain = ReconstructionSettings(texture_size=64, uncover=False, hair=False)
    settings = replace(plain, method="specular", weights=str(own))
    told = made_with(settings, BatchSettings(), own)
    assert set(told["assets"]) == {"base_head.safetensors", *OF_LANDMARKS}
    assert told["mediapipe"] == assets.sha256(own)[:16]
    read.clear()
    Reconstructor.load(plain, CPU, finder=lambda _: [])
    assert read == {*told["assets"], CENTRE}  # the fit expects the centre, this method the mean head
    with pytest.raises(AssetError, match="MediaPipe"):
        made_with(settings, BatchSettings(), tmp_path / "none")


def test_a_registration_names_the_files_that_it_was_made_with(read: set[str]) -> None:
    told = register_made_with(RegistrationSettings(), None, None)["assets"]
    ScanRegistrar.load(RegistrationSettings())
    assert set(told) == read
