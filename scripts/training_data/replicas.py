"""Training on the cores of one machine: replicas share the parameters, each has a thread and own batches.

Two single-threaded replicas train a third faster on two cores than one network with two threads.
"""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn


class Replica:
    """A copy of ``network`` that shares its parameters and keeps its own gradients and statistics."""

    def __init__(
        self,
        network: nn.Module,
        losses: Callable[[nn.Module, np.random.Generator], tuple[Tensor, dict[str, float]]],
    ) -> None:
        self.network = copy.deepcopy(network)
        for mine, shared in zip(self.network.parameters(), network.parameters(), strict=True):
            mine.data = shared.data
        self.parameters = list(self.network.parameters())
        self.losses = losses

    def __call__(self, rng: np.random.Generator) -> dict[str, float]:
        """Leave the gradients of one batch's loss in the replica; returns the loss terms."""
        torch.set_num_threads(1)
        loss, terms = self.losses(self.network, rng)
        self.network.zero_grad()
        loss.backward()
        return terms


def take_step(network: nn.Module, replicas: list[Replica], optimiser: torch.optim.Optimizer) -> None:
    """Average the gradients, clip, and step; normalisation statistics come from the first replica."""
    for index, parameter in enumerate(network.parameters()):
        if parameter.grad is None:
            # Of the parameter's own memory layout: the fused optimiser pairs elements by place in memory.
            parameter.grad = torch.empty_like(parameter)
        gradients = [replica.parameters[index].grad for replica in replicas]
        parameter.grad.copy_(torch.stack([g for g in gradients if g is not None]).mean(0))
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
    for mine, theirs in zip(network.buffers(), replicas[0].network.buffers(), strict=True):
        mine.copy_(theirs)


def update_average(average: nn.Module, network: nn.Module, step: int) -> None:
    """Exponential moving average of parameters and normalisation statistics."""
    decay = min(0.999, (1 + step) / (10 + step))
    with torch.no_grad():
        for mine, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
            if mine.dtype.is_floating_point:
                mine.lerp_(new, 1 - decay)
            else:
                mine.copy_(new)


def save_checkpoint(path: Path, **state: object) -> None:
    """Write a checkpoint under a temporary name, then rename it."""
    temporary = path.with_suffix(".partial")
    torch.save(state, temporary)
    temporary.replace(path)
