from dataclasses import replace

import pytest
import torch

from facewright.networks.heads import LandmarkNetwork, LandmarkNetworkSettings
from training_data.landmarker_task import grow  # pyright: ignore[reportMissingImports]

SMALL = LandmarkNetworkSettings(32, (4, 6, 8), lateral=3, hidden=16, modes=5)


def trained() -> LandmarkNetwork:
    torch.manual_seed(1)
    return LandmarkNetwork(SMALL).eval()


@torch.inference_mode()
def test_grown_to_the_same_size_computes_the_same():
    crops = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    grown = LandmarkNetwork(replace(SMALL, spots=4)).eval()
    before = grown(crops)[0]
    grow(grown, trained())
    for ours, theirs in zip(grown(crops), trained()(crops), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert (before - grown(crops)[0]).abs().max() > 1e-2, "control"


@torch.inference_mode()
@pytest.mark.parametrize("side", [48, 64])
def test_grown_network_sees_flat_features_alike(side: int):
    grown = LandmarkNetwork(replace(SMALL, input_size=side)).eval()
    old = trained()
    grow(grown, old)
    # The sum of the weights of each feature map is kept: maps of one level give the same hidden units.
    cells = SMALL.widths[-1] * 4**2
    sums = old.hidden.weight[:, :cells].unflatten(1, (SMALL.widths[-1], -1)).sum(2)
    larger = SMALL.widths[-1] * (side // 8) ** 2
    found = grown.hidden.weight[:, :larger].unflatten(1, (SMALL.widths[-1], -1)).sum(2)
    torch.testing.assert_close(found, sums, atol=0.02, rtol=0.02)
