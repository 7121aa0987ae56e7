"""What the training loop costs a step beside the same steps written down in torch.

``python -m benchmarks.bench_training``: both make the same batches, clip, step the same optimiser and average
the weights; the loop's call has also what is done once: folders, journal, weights, checkpoint.
"""

import copy
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.harness import Timing, interleave, run, show
from facewright.training.loop import train
from facewright.training.optimization import make_optimizer, rate_factor, set_rate, update_average
from facewright.training.settings import TrainingSettings

STEPS, BATCH, SIZE = 40, 16, 48


@dataclass(frozen=True)
class Pictures:
    """Noise, and its mean colour.

    Attributes:
        pixels: (B, 3, S, S).
        mean: (B, 3).
    """

    pixels: Tensor
    mean: Tensor


class MeanColour:
    """A network of convolutions learns the mean colour of noise."""

    name, version, metric = "mean_colour", 1, "error"

    def __init__(self, width: int) -> None:
        self.width = width

    def settings(self) -> Mapping[str, object]:
        """Its width."""
        return {"width": self.width}

    def build(self, seed: int) -> nn.Module:
        """Four blocks of convolution, normalisation and activation."""
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for number in range(4):
            before = 3 if number == 0 else self.width
            layers += [
                nn.Conv2d(before, self.width, 3, 2, 1),
                nn.BatchNorm2d(self.width),
                nn.ReLU(),
            ]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(self.width, 3))

    def batch(self, seed: int, step: int, part: int, parts: int) -> Pictures:
        """Of a step."""
        generator = torch.Generator().manual_seed((seed * 1_000_003 + step) * parts + part)
        pixels = torch.rand(BATCH // parts, 3, SIZE, SIZE, generator=generator)
        return Pictures(pixels, pixels.mean((2, 3)))

    def losses(self, network: nn.Module, batch: Pictures, step: int) -> dict[str, Tensor]:  # noqa: ARG002
        """Squared error."""
        return {"squared": (network(batch.pixels) - batch.mean).square().mean()}

    def evaluate(self, network: nn.Module) -> dict[str, float]:  # noqa: ARG002
        """Nothing: what evaluation takes is the task's own."""
        return {"error": 0.0}

    def pictures(self, network: nn.Module) -> dict[str, Tensor]:  # noqa: ARG002
        """None."""
        return {}


def bare(task: MeanColour, settings: TrainingSettings) -> None:
    """The same steps without a loop of the house."""
    network = task.build(settings.seed).train()
    average = copy.deepcopy(network).eval()
    optimizer = make_optimizer(network, settings)
    parameters = list(network.parameters())
    for step in range(settings.steps):
        set_rate(optimizer, rate_factor(step, settings))
        batch = task.batch(settings.seed, step, 0, 1)
        optimizer.zero_grad(set_to_none=True)
        loss = task.losses(network, batch, step)["squared"]
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, settings.clip)
        optimizer.step()
        update_average(average, network, settings.ema, step)


def benchmark(seconds: float) -> list[Timing]:
    """A small network, where every microsecond of a loop is seen, and a larger one."""
    torch.set_num_threads(1)
    settings = TrainingSettings(steps=STEPS, batch=BATCH, device="cpu", evaluate_every=0, checkpoint_every=0)
    found = []
    for width in (8, 48):
        task = MeanColour(width)
        with tempfile.TemporaryDirectory() as folder:
            timings = interleave(
                f"{STEPS} steps of a network of width {width}",
                {
                    "bare torch": lambda task=task: bare(task, settings),
                    "loop": _whole_call(task, settings, Path(folder)),
                },
                seconds=seconds,
                items=STEPS,
            )
        show(timings)
        found += timings
    return found


def _whole_call(task: MeanColour, settings: TrainingSettings, folder: Path) -> Callable[[], object]:
    def call() -> object:
        return train(task, settings, folder / str(time.perf_counter_ns()), progress=False)

    return call


if __name__ == "__main__":
    run(benchmark, __doc__ or "")
