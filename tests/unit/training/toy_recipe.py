"""The toy task under a name of the command line."""

from dataclasses import dataclass, replace

from toy_task import SETTINGS, WaveTask

from facewright.training.recipe import Recipe, Scale
from facewright.training.settings import TrainingSettings
from facewright.training.task import Task


@dataclass(frozen=True)
class WaveOptions:
    """What a wave is learned with."""

    noise: float
    """Of the network: a flag that must be given."""
    statistics: bool = True
    """Whether it normalises."""


def make_wave(options: WaveOptions, scale: Scale, settings: TrainingSettings) -> Task:
    assert scale in RECIPE.scales
    return WaveTask(batch_size=settings.batch, noise=options.noise, statistics=options.statistics)


RECIPE = Recipe(WaveOptions, {"mini": SETTINGS, "small": replace(SETTINGS, steps=1000)}, make_wave)
