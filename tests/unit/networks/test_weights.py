import json
import resource
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from facewright.core.errors import AssetError
from facewright.networks.heads import (
    FaceNetwork,
    FaceNetworkSettings,
    LandmarkNetwork,
    LandmarkNetworkSettings,
)
from facewright.networks.weights import FORMAT, read_weights, write_weights

SMALL = FaceNetworkSettings(widths=(4, 6, 6, 6, 6), pyramid=4)


@pytest.fixture
def written(tmp_path: Path) -> tuple[FaceNetwork, Path]:
    network = FaceNetwork(SMALL).eval()
    path = tmp_path / "face.safetensors"
    write_weights(path, network, {"licence": "Apache-2.0"})
    return network, path


@torch.inference_mode()
def test_read_network_computes_what_was_written(written: tuple[FaceNetwork, Path]):
    network, path = written
    read = read_weights(path, FaceNetwork, FaceNetworkSettings)
    assert read.settings == SMALL
    image = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(read(image)[0], network(image)[0], atol=2e-2, rtol=2e-2)
    assert load_file(path)["backbone.stem.0.weight"].dtype == torch.float16
    fresh = FaceNetwork(SMALL).eval()
    assert (fresh(image)[0] - network(image)[0]).abs().max() > 2e-2, "control: another network differs"


def test_weights_of_another_network_are_refused(written: tuple[FaceNetwork, Path]):
    with pytest.raises(AssetError, match="expected LandmarkNetwork"):
        read_weights(written[1], LandmarkNetwork, LandmarkNetworkSettings)


@pytest.mark.parametrize(
    "settings",
    [
        {"widths": [4, 6, 6, 6, 10**9], "blocks": [0, 1, 1, 1], "pyramid": 4},
        {"widths": [4, 6, 6, 6, 6], "blocks": [0, 1, 1, 1], "pyramid": "4"},
        {"widths": [4, 6, 6, 6, 6], "surprise": 1},
        {"widths": [4, 6, 6, 6, 8], "blocks": [0, 1, 1, 1], "pyramid": 4},
        [1, 2],
    ],
    ids=["huge", "text", "unknown", "other-shape", "list"],
)
def test_hostile_settings_are_refused(written: tuple[FaceNetwork, Path], settings: object):
    header = {"format": FORMAT, "network": "FaceNetwork", "settings": json.dumps(settings)}
    save_file(load_file(written[1]), written[1], metadata=header)
    with pytest.raises(AssetError):
        read_weights(written[1], FaceNetwork, FaceNetworkSettings)


@pytest.mark.parametrize(
    "settings",
    [
        {"widths": [4, 6, 6, 6, 1024], "blocks": [0, 1, 1, 16], "pyramid": 4},
        {"widths": [4, 6, 6, 6, 6], "blocks": [4096, 4096, 4096, 4096], "pyramid": 4},
        {"widths": [1] * 100_000, "blocks": [0] * 99_999, "pyramid": 4},
    ],
    ids=["wide", "deep", "long"],
)
def test_a_hostile_header_does_not_allocate_the_machine(tmp_path: Path, settings: object):
    path = tmp_path / "face.safetensors"
    write_weights(path, FaceNetwork(SMALL), {})
    header = {"format": FORMAT, "network": "FaceNetwork", "settings": json.dumps(settings)}
    save_file(load_file(path), path, metadata=header)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(AssetError):
        read_weights(path, FaceNetwork, FaceNetworkSettings)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * (1 if sys.platform == "darwin" else 1024) < 100 << 20


def test_reading_leaves_the_random_numbers_of_the_caller_alone(written: tuple[FaceNetwork, Path]):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    read_weights(written[1], FaceNetwork, FaceNetworkSettings)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.5])
def test_weights_that_are_not_finite_are_refused(written: tuple[FaceNetwork, Path], value: float):
    path = written[1]
    with safe_open(path, framework="pt") as handle:
        header = handle.metadata()
    tensors = load_file(path)
    tensors["backbone.stem.0.weight"].view(-1)[7] = value
    save_file(tensors, path, metadata=header)
    if value == 0.5:  # the control
        assert read_weights(path, FaceNetwork, FaceNetworkSettings).settings == SMALL
        return
    with pytest.raises(AssetError, match="NaN or infinity"):
        read_weights(path, FaceNetwork, FaceNetworkSettings)


def test_missing_tensor_and_cut_file_are_refused(written: tuple[FaceNetwork, Path]):
    path = written[1]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AssetError):
        read_weights(path, FaceNetwork, FaceNetworkSettings)
    path.write_bytes(whole)
    tensors = load_file(path)
    tensors.pop("outputs.0.weight")
    settings = json.dumps({"widths": [4, 6, 6, 6, 6], "blocks": [0, 1, 1, 1], "pyramid": 4})
    save_file(tensors, path, metadata={"format": FORMAT, "network": "FaceNetwork", "settings": settings})
    with pytest.raises(AssetError, match=r"outputs\.0\.weight"):
        read_weights(path, FaceNetwork, FaceNetworkSettings)
