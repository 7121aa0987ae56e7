"""How ``facewright train specular`` trains."""

from dataclasses import dataclass
from pathlib import Path

from facewright.detection.recognition import shipped_features
from facewright.methods.specular.train import SpecularTask, load_task
from facewright.training.recipe import Recipe, Scale
from facewright.training.settings import TrainingSettings


@dataclass(frozen=True)
class SpecularOptions:
    """What the method is trained on."""

    examples: tuple[Path, ...] = (Path("build/specular_examples"),)
    """Folders of scripts/prepare_specular.py."""
    identity: bool = False
    """With the identity loss, by the shipped recognition network; scale full always has it."""


def _task(options: SpecularOptions, scale: Scale, settings: TrainingSettings) -> SpecularTask:
    wanted = options.identity or scale == "full"
    recognition = shipped_features() if wanted else None
    return load_task(options.examples, scale, batch=settings.batch, recognition=recognition)


RECIPE = Recipe(
    options=SpecularOptions,
    scales={
        "mini": TrainingSettings(
            steps=400,
            batch=8,
            learning_rate=1e-3,
            warmup=20,
            clip=5.0,
            ema=0.98,
            evaluate_every=200,
            checkpoint_every=100,
            journal_every=50,
        ),
        "small": TrainingSettings(
            steps=6000,
            batch=32,
            learning_rate=1.5e-3,
            warmup=200,
            weight_decay=0.02,
            clip=5.0,
            ema=0.998,
            evaluate_every=500,
            checkpoint_every=250,
            journal_every=100,
        ),
        "full": TrainingSettings(
            steps=200_000,
            batch=32,
            learning_rate=5e-5,
            schedule="constant",
            optimizer="adam",
            clip=0.0,
            ema=0.0,
            evaluate_every=5000,
            checkpoint_every=1000,
        ),
    },
    make=_task,
)
