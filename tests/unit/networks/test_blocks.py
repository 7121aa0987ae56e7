import torch
from torch import nn

from facewright.networks.blocks import fold_batch_norm
from facewright.networks.heads import FaceNetwork, LandmarkNetwork, LandmarkNetworkSettings


def settled(network: nn.Module) -> nn.Module:
    """A network whose batch normalisation statistics are far from their start."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for buffer, low in ((module.running_mean, -1.0), (module.running_var, 0.5)):
                assert buffer is not None
                buffer.copy_(low + 1.5 * torch.rand(buffer.shape, generator=generator))
    return network.eval()


@torch.inference_mode()
def test_folding_changes_no_output():
    network = settled(FaceNetwork())
    image = torch.rand(1, 1, 64, 96, generator=torch.Generator().manual_seed(1))
    folded = fold_batch_norm(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    for before, after in zip(network(image), folded(image), strict=True):
        torch.testing.assert_close(before, after, atol=1e-4, rtol=1e-4)
    # Control: batch normalisation does change these outputs.
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
    assert (network(image)[0] - folded(image)[0]).abs().max() > 1e-2


@torch.inference_mode()
def test_face_network_has_a_map_for_each_stride():
    maps = FaceNetwork().eval()(torch.zeros(2, 1, 64, 96))
    assert [tuple(m.shape) for m in maps] == [(2, 6, 8, 12), (2, 6, 4, 6), (2, 6, 2, 3)]


@torch.inference_mode()
def test_last_layer_starts_as_the_given_modes():
    settings = LandmarkNetworkSettings(input_size=32, widths=(4, 4, 4), lateral=4, hidden=8, modes=3)
    network = LandmarkNetwork(settings).eval()
    mean, modes = torch.rand(478, 3), torch.rand(3, 478, 3)
    network.start_from_modes(mean, modes)
    points, presence = network(torch.rand(5, 1, 32, 32))
    assert points.shape == (5, 478, 3)
    assert presence.shape == (5,)
    basis = modes.reshape(3, -1).T
    left = (points - mean).reshape(5, -1).T
    residual = left - basis @ torch.linalg.lstsq(basis, left).solution
    assert residual.abs().max() < 1e-4
    assert left.abs().max() > 1e-3
