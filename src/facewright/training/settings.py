"""How long, how fast and on what a network is trained."""

import math
from dataclasses import dataclass
from typing import Literal

from facewright.core.device import DeviceName
from facewright.core.errors import InputError
from facewright.core.ranges import check_range

ScheduleName = Literal["constant", "cosine", "thirds"]
OptimizerName = Literal["adam", "adamw", "sgd"]
PrecisionName = Literal["float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How long, how fast and on what a network is trained.

    Attributes:
        steps: in all, also when a run goes on from a checkpoint.
        batch: samples a step, all processes and accumulated parts together.
        learning_rate: the highest.
        schedule: cosine falls to a hundredth of it over the steps, thirds to a tenth after each third.
        warmup: steps until it is reached.
        optimizer: sgd has a momentum of 0.9.
        weight_decay: of all parameters that are in no group of their own.
        clip: greatest norm of all gradients together; 0 clips nothing.
        accumulate: parts of a step's batch that a process computes one after the other.
        ema: decay of the averaged weights, which are judged and kept; 0 keeps the newest.
        precision: bfloat16 computes networks under autocast; weights and losses stay float32.
        evaluate_every: steps; 0 evaluates after the last step only.
        checkpoint_every: steps; 0 as above.
        journal_every: steps; 0 as above.
        seed: of the network's first weights and of the batches.
        device: where the network is; ``auto`` is CUDA where there is one.
    """

    steps: int
    batch: int
    learning_rate: float = 1e-3
    schedule: ScheduleName = "cosine"
    warmup: int = 0
    optimizer: OptimizerName = "adamw"
    weight_decay: float = 0.0
    clip: float = 1.0
    accumulate: int = 1
    ema: float = 0.999
    precision: PrecisionName = "float32"
    evaluate_every: int = 1000
    checkpoint_every: int = 500
    journal_every: int = 100
    seed: int = 0
    device: DeviceName = "auto"

    def __post_init__(self) -> None:
        check_range(self, 1, math.inf, "steps", "batch", "accumulate")
        check_range(self, 0, math.inf, "warmup", "seed", "clip", "weight_decay")
        check_range(self, 0, math.inf, "evaluate_every", "checkpoint_every", "journal_every")
        if not 0 < self.learning_rate < math.inf or not 0 <= self.ema < 1:
            raise InputError(
                f"expected a learning rate above 0 and an ema in [0, 1), got {self.learning_rate} and "
                f"{self.ema}."
            )
