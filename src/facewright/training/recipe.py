"""What a method tells the command line about its training."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from facewright.training.settings import TrainingSettings
from facewright.training.task import Task

Scale = Literal["mini", "small", "full"]


@dataclass(frozen=True)
class Recipe:
    """How a method's network is trained at each scale.

    Attributes:
        options: a frozen dataclass of what a user may choose beside the loop's settings, with a docstring for
            each field: the command line makes flags of them. No name may be one of the command's own.
        scales: the loop's settings; ``mini`` takes minutes on a CPU, ``small`` makes shipped weights,
            ``full`` is the paper's schedule.
        make: the task for options, a scale and the settings, whose ``batch`` is that of the task.
    """

    options: type
    scales: Mapping[Scale, TrainingSettings]
    make: Callable[[Any, Scale, TrainingSettings], Task]
