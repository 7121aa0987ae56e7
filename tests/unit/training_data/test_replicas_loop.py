from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from training_data.loop import Schedule, train  # pyright: ignore[reportMissingImports]


class StoppedError(Exception):
    """The run was stopped."""


def run(out: Path, seed: int = 0, stop: int | None = None) -> list[Tensor]:
    """Train a small network with normalisation for 6 steps; ``stop``: break off in that step."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    count = iter(range(100))

    def losses(copy: nn.Module, batch: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        if next(count) == stop:
            raise StoppedError
        x = torch.from_numpy(rng.normal(size=(batch, 3)).astype(np.float32))
        loss = (copy(x) - x.sum(1, keepdim=True)).square().mean()
        return loss, {"loss": loss.item()}

    train(network, [losses], Schedule(6, 8, 1e-2, warm_up=2, journal=3, seed=seed), out)
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    return [*state["network"].values(), *state["average"].values()]


def test_a_resumed_run_ends_as_an_unbroken_one(tmp_path: Path):
    whole = run(tmp_path / "whole")
    with pytest.raises(StoppedError):
        run(tmp_path / "broken", stop=4)
    resumed = run(tmp_path / "broken")
    for ours, theirs in zip(resumed, whole, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    # Control: other batches lead elsewhere.
    other = run(tmp_path / "other", seed=1)
    assert any((ours != theirs).any() for ours, theirs in zip(other, whole, strict=True))
