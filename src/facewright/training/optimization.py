"""Learning rate, optimiser and averaged weights of a step."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from facewright.training.settings import TrainingSettings

LAST_RATE = 0.01  # of the highest, at the end of a cosine
MOMENTUM = 0.9


def rate_factor(step: int, settings: TrainingSettings) -> float:
    """Learning rate of a step over the highest: warm-up, then constant, half a cosine or three stairs."""
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    if settings.schedule == "constant":
        return 1.0
    if settings.schedule == "thirds":
        return 0.1 ** min(3 * step // settings.steps, 2)
    return LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * min(step / settings.steps, 1.0)))


def make_optimizer(network: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """The optimiser of a network, by its own groups of parameters if it has a method ``parameter_groups``."""
    groups: Any = [parameter for parameter in network.parameters() if parameter.requires_grad]
    named: Callable[[float], Iterable[dict[str, Any]]] | None = getattr(network, "parameter_groups", None)
    if named is not None:
        groups = list(named(settings.learning_rate))
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "sgd":
        optimizer = torch.optim.SGD(groups, lr=rate, momentum=MOMENTUM, weight_decay=decay, fused=True)
    elif settings.optimizer == "adam":
        optimizer = torch.optim.Adam(groups, lr=rate, weight_decay=decay, fused=True)
    else:
        optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=decay, fused=True)
    for group in optimizer.param_groups:
        group["highest_rate"] = group["lr"]
    return optimizer


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Scale the learning rate of every group from its highest."""
    for group in optimizer.param_groups:
        group["lr"] = group["highest_rate"] * factor


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Exponential moving average of parameters and statistics, quicker in the first steps.

    Args:
        average: changed in place.
        network: after the step.
        decay: in the long run.
        step: from 0.
    """
    weight = 1 - min(decay, (1 + step) / (10 + step))
    for mine, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mine.dtype.is_floating_point:
            mine.lerp_(new, weight)
        else:
            mine.copy_(new)
