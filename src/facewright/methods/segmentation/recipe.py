"""``facewright train segmentation``: what a user may choose, and how long it takes."""

from dataclasses import dataclass
from pathlib import Path

from facewright.methods.segmentation.train import SegmentationSettings, SegmentationTask
from facewright.training.flags import changed, with_flags
from facewright.training.recipe import Recipe, Scale
from facewright.training.settings import TrainingSettings

COARSE = 0.6  # share of the steps that see crops of half the side


@dataclass(frozen=True, kw_only=True)
class SegmentationOptions:
    """Beside the loop's settings."""

    crops: Path
    """Folder of scripts/cut_segmentation_crops.py."""
    real: float = 0.4
    """Share of real photos in a batch, of which the landmarks alone are known."""


def make_task(options: SegmentationOptions, scale: Scale, settings: TrainingSettings) -> SegmentationTask:  # noqa: ARG001
    """The task; all scales learn the same network from the same crops."""
    coarse = int(COARSE * settings.steps)
    chosen = SegmentationSettings(batch=settings.batch, real=options.real, coarse_steps=coarse)
    return SegmentationTask(options.crops, changed(chosen, options))


def _schedule(steps: int, batch: int, every: int) -> TrainingSettings:
    return TrainingSettings(
        steps=steps,
        batch=batch,
        learning_rate=3e-3,
        warmup=max(steps // 20, 1),
        weight_decay=0.02,
        ema=0.995,
        evaluate_every=every,
        checkpoint_every=max(every // 2, 1),
        journal_every=max(every // 4, 1),
    )


RECIPE = Recipe(
    options=with_flags(SegmentationOptions, SegmentationSettings, leave_out=("batch",)),
    scales={
        "mini": _schedule(200, 8, 100),
        "small": _schedule(1200, 16, 200),
        "full": _schedule(20000, 32, 1000),
    },
    make=make_task,
)
