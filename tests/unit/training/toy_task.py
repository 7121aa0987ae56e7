"""A task as small as can be: a network with noise and statistics learns a wave."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from facewright.core.errors import InputError
from facewright.training.settings import TrainingSettings

SETTINGS = TrainingSettings(
    steps=10, batch=8, learning_rate=0.02, warmup=2, weight_decay=0.01, ema=0.9, evaluate_every=5,
    checkpoint_every=4, journal_every=3, device="cpu",
)  # fmt: skip


@dataclass(frozen=True)
class Points:
    x: Float[Tensor, "B 1"]
    y: Float[Tensor, "B 1"]
    kind: str = "wave"


class Wave(nn.Module):
    """Dropout draws from the global generator; normalisation has statistics that are no parameters."""

    def __init__(self, noise: float, statistics: bool) -> None:
        super().__init__()
        norm = nn.BatchNorm1d(8) if statistics else nn.Identity()
        self.layers = nn.Sequential(nn.Linear(1, 8), norm, nn.ReLU(), nn.Dropout(noise), nn.Linear(8, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


@dataclass(frozen=True)
class WaveTask:
    """``poison`` makes one step's target NaN; ``stop_at`` raises in that step; ``sleep_at`` takes seconds."""

    batch_size: int = 8
    noise: float = 0.2
    statistics: bool = True
    poison: int | None = None
    poison_gradient: int | None = None
    stop_at: int | None = None
    kill_at: int | None = None
    sleep_at: int | None = None
    refuse_at: int | None = None
    name: str = "wave"
    version: int = 1
    metric: str = "error"

    def settings(self) -> Mapping[str, object]:
        return {"noise": self.noise, "sizes": (1, 8, 1)}

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return Wave(self.noise, self.statistics)

    def batch(self, seed: int, step: int, part: int, parts: int) -> Points:
        if step == self.kill_at:
            time.sleep(0.5)  # until the batch before has left through its pipe
            os._exit(1)
        if step == self.refuse_at:
            raise InputError("no more waves.")
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        x = torch.rand(self.batch_size, 1, generator=generator) * 6
        share = slice(part * self.batch_size // parts, (part + 1) * self.batch_size // parts)
        y = x.sin() * (float("nan") if step == self.poison else 1.0)
        return Points(x[share], y[share])

    def losses(self, network: nn.Module, batch: Points, step: int) -> dict[str, Tensor]:
        if step == self.stop_at:
            raise KeyboardInterrupt
        if step == self.sleep_at:
            time.sleep(60)
        off = network(batch.x) - batch.y
        losses = {"squared": off.square().mean()}
        if step >= 5:
            losses["late"] = 0.1 * off.abs().mean()
        if step == self.poison_gradient:
            losses["squared"] = losses["squared"] + (off[0, 0] * 0).abs().sqrt()
        return losses

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        x = torch.linspace(0, 6, 64)[:, None]
        with torch.no_grad():
            error = float((network(x) - x.sin()).square().mean())
        return {"error": error, "drawn": float(torch.rand(()))}

    def pictures(self, network: nn.Module) -> dict[str, Tensor]:
        x = torch.linspace(0, 6, 16)[:, None]
        return {"wave": network(x).mul(0.5).add(0.5).T.expand(3, 4, 16)}


def shorter(steps: int) -> TrainingSettings:
    return replace(SETTINGS, steps=steps)
