"""Agreement of the two runtimes: onnxruntime computes what torch computes, on every network that ships."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from facewright.core.assets import asset_path
from facewright.core.errors import InputError
from facewright.networks.heads import (
    EyeNetwork,
    EyeNetworkSettings,
    FaceNetwork,
    FaceNetworkSettings,
    LandmarkNetwork,
    LandmarkNetworkSettings,
)
from facewright.networks.runtime import runner_of
from facewright.networks.segmentation import SegmentationNetwork, SegmentationNetworkSettings
from facewright.networks.weights import read_weights

CPU = torch.device("cpu")
SMALL = LandmarkNetworkSettings(input_size=32, widths=(4, 6, 8), lateral=4, hidden=16, modes=5)
WITH_SPOTS = LandmarkNetworkSettings(
    input_size=64, widths=(4, 6, 8, 10), lateral=4, hidden=16, modes=5, spots=3
)
SEGMENTS = SegmentationNetworkSettings(input_size=32, classes=3, widths=(4, 6, 8), decoder=(6, 4))
CASES = [
    pytest.param(LandmarkNetwork(SMALL), (3, 1, 32, 32), id="landmarks"),
    pytest.param(LandmarkNetwork(WITH_SPOTS), (2, 1, 64, 64), id="landmarks with spots"),
    pytest.param(EyeNetwork(EyeNetworkSettings(32, (4, 6, 8), 5)), (3, 1, 32, 32), id="eyes"),
    pytest.param(FaceNetwork(FaceNetworkSettings((4, 6, 8, 8, 8), pyramid=8)), (1, 1, 64, 96), id="faces"),
    pytest.param(FaceNetwork(), (1, 1, 32, 64), id="faces, shipped sizes"),
    pytest.param(SegmentationNetwork(SEGMENTS), (2, 3, 32, 32), id="segmentation"),
    pytest.param(
        SegmentationNetwork(replace(SEGMENTS, input_size=64, ratio=2)), (2, 3, 32, 64), id="wide segmentation"
    ),
]


def unlike_its_start(network: nn.Module) -> nn.Module:
    """All parameters and statistics moved, so that no part of the network can be left out unnoticed."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if "running_var" in name:
                tensor.add_(torch.rand(tensor.shape, generator=generator))
            elif tensor.dtype.is_floating_point:
                tensor.add_(0.1 * torch.randn(tensor.shape, generator=generator))
    return network.eval()


@torch.inference_mode()
@pytest.mark.parametrize(("network", "shape"), CASES)
def test_onnxruntime_computes_what_torch_computes(network: nn.Module, shape: tuple[int, ...]):
    network = unlike_its_start(network)
    images = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    run = runner_of(network, CPU)
    found, expected = run(images), list(network(images))
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    # Control: each parameter matters to the outputs, so a part that the graph forgot would be seen.
    for name, parameter in network.named_parameters():
        before = parameter.clone()
        parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
        changed = max(float((a - b).abs().max()) for a, b in zip(network(images), found, strict=True))
        assert changed > 1e-3, name
        parameter.copy_(before)


SHIPPED = {
    "detector": (FaceNetwork, FaceNetworkSettings, (64, 96)),
    "landmarker_first": (LandmarkNetwork, LandmarkNetworkSettings, (64, 64)),
    "landmarker_second": (LandmarkNetwork, LandmarkNetworkSettings, (160, 160)),
    "landmarker_eyes": (EyeNetwork, EyeNetworkSettings, (48, 48)),
}


@torch.inference_mode()
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights_agree_to_a_hundredth_of_a_pixel(name: str):
    network_class, settings_class, size = SHIPPED[name]
    network = read_weights(asset_path(f"{name}.safetensors"), network_class, settings_class)
    images = torch.rand(
        2 if "landmarker" in name else 1, 1, *size, generator=torch.Generator().manual_seed(0)
    )
    for ours, theirs in zip(runner_of(network, CPU)(images), network(images), strict=True):
        assert (ours - theirs).abs().max() < 0.01 / size[0] * theirs.abs().max().clamp(min=1)
    # Control: another picture gives another answer.
    assert (runner_of(network, CPU)(1 - images)[0] - network(images)[0]).abs().max() > 0.01


def test_other_networks_are_refused():
    with pytest.raises(InputError, match="or a SegmentationNetwork, got Linear"):
        runner_of(nn.Linear(2, 2), CPU)


def test_spots_move_with_the_image():
    network = LandmarkNetwork(WITH_SPOTS)
    maps = torch.zeros(1, WITH_SPOTS.widths[2], 8, 8)
    maps[:, :, 2, 5] = 200.0
    with torch.no_grad():
        network.spots.filters.weight.fill_(1.0)
    expected = torch.tensor([[2 * 5.5 / 8 - 1] * 3 + [2 * 2.5 / 8 - 1] * 3])
    torch.testing.assert_close(network.spots(maps), expected)
    torch.testing.assert_close(
        network.spots(maps.roll(1, dims=3)), expected + torch.tensor([0.25] * 3 + [0.0] * 3)
    )
