"""The loop that every training shares: steps, schedule, journal and checkpoints."""

import copy
import json
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .replicas import Replica, save_checkpoint, take_step, update_average

# Loss and its terms by name over a batch of so many samples drawn from a generator.
Losses = Callable[[nn.Module, int, np.random.Generator], tuple[Tensor, dict[str, float]]]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a network is trained.

    Attributes:
        steps: in all, also when a run goes on from a checkpoint.
        batch: samples a step.
        rate: highest learning rate.
        warm_up: steps until it is reached.
        workers: replicas that share a batch.
        journal: steps between two lines of the journal, each with a checkpoint.
        seed: of the batches.
    """

    steps: int
    batch: int
    rate: float
    warm_up: int = 300
    workers: int = 2
    journal: int = 200
    seed: int = 0


def learning_rate(step: int, schedule: Schedule) -> float:
    """Warm-up, then half a cosine to a hundredth of the peak."""
    if step < schedule.warm_up:
        return schedule.rate * (step + 1) / schedule.warm_up
    return schedule.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(step / schedule.steps, 1.0))))


def batch_generator(schedule: Schedule, step: int, worker: int) -> np.random.Generator:
    """One worker's generator in one step: a resumed run draws what an unbroken one would."""
    return np.random.default_rng((schedule.seed, step, worker))


def train(
    network: nn.Module,
    losses: list[Losses],
    schedule: Schedule,
    out: Path,
    measure: Callable[[nn.Module], dict[str, float]] = lambda _: {},
) -> None:
    """Train ``network``, or go on from the checkpoint in ``out``.

    Args:
        network: starts from its weights if there is no checkpoint.
        losses: one a worker.
        schedule: how long and how fast.
        out: folder of ``checkpoint.pt``; what a journal line holds is also printed.
        measure: figures of the averaged weights for the journal.
    """
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    average = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=schedule.rate, weight_decay=0.02, fused=True)
    checkpoint, start = out / "checkpoint.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        start = state["step"]
    share = schedule.batch // len(losses)
    replicas = [Replica(network, lambda copy, rng, draw=draw: draw(copy, share, rng)) for draw in losses]
    print(f"step {start} of {schedule.steps}", flush=True)
    clock, sums = time.time(), {}
    with ThreadPoolExecutor(len(losses)) as pool:
        for step in range(start, schedule.steps):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(step, schedule)
            rngs = [batch_generator(schedule, step, worker) for worker in range(len(losses))]
            for terms in pool.map(lambda replica, rng: replica(rng), replicas, rngs):
                sums = {name: sums.get(name, 0.0) + value for name, value in terms.items()}
            take_step(network, replicas, optimiser)
            update_average(average, network, step)
            if (step + 1) % schedule.journal == 0 or step + 1 == schedule.steps:
                seconds = time.time() - clock
                line: dict[str, float] = {"step": step + 1}
                line |= {
                    name: round(total / schedule.journal / len(losses), 5) for name, total in sums.items()
                }
                line |= {name: round(value, 3) for name, value in measure(average).items()}
                line["per_second"] = round(schedule.journal * schedule.batch / seconds)
                print(json.dumps(line), flush=True)
                save_checkpoint(
                    checkpoint, network=network.state_dict(), average=average.state_dict(),
                    optimiser=optimiser.state_dict(), step=step + 1,
                )  # fmt: skip
                clock, sums = time.time(), {}
