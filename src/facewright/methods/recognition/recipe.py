"""How ``facewright train recognition`` trains the recognition network."""

from dataclasses import dataclass
from pathlib import Path

from facewright.core.errors import InputError
from facewright.methods.recognition.settings import ALL_FOLDS, RecognitionSettings
from facewright.methods.recognition.task import RecognitionTask
from facewright.training.flags import changed, with_flags
from facewright.training.recipe import Recipe, Scale
from facewright.training.settings import TrainingSettings


@dataclass(frozen=True)
class RecognitionOptions:
    """What may be chosen beside the loop's settings."""

    data: Path = Path("../shared/data")
    """Folder of faces_in_the_wild and faces_in_colour."""
    crops: Path = Path("build/recognition_crops.npy")
    """Array file of all crops; written by the first run (about a minute and a half of one core, 260 MB)."""
    kept_out_folds: tuple[int, ...] = ALL_FOLDS
    """Folds of the verification pairs whose people no batch shows; only those may be asked afterwards."""


def recognition_task(
    options: RecognitionOptions, scale: Scale, settings: TrainingSettings
) -> RecognitionTask:
    """The task with the batch of the loop; the scale makes no difference to it.

    Raises:
        InputError: there is no such fold.
        DatasetError: a folder is missing or damaged.
    """
    del scale
    wrong = sorted(set(options.kept_out_folds) - set(ALL_FOLDS))
    if wrong:
        raise InputError(f"the verification pairs have the folds 0 to 9, not {wrong[0]}.")
    folds = tuple(sorted(set(options.kept_out_folds)))
    own = RecognitionSettings(kept_out_folds=folds, batch=settings.batch)
    return RecognitionTask.of(options.data, options.crops, changed(own, options))


_SMALL = TrainingSettings(
    steps=4000,
    batch=64,
    learning_rate=2e-3,
    warmup=200,
    optimizer="adamw",
    weight_decay=0.05,
    clip=5.0,
    ema=0.998,
    evaluate_every=500,
    checkpoint_every=250,
    journal_every=100,
)
RECIPE = Recipe(
    options=with_flags(RecognitionOptions, RecognitionSettings, leave_out=("batch",)),
    scales={
        "mini": TrainingSettings(
            steps=200, batch=32, learning_rate=2e-3, warmup=20, weight_decay=0.05, clip=5.0
        ),
        "small": _SMALL,
        "full": TrainingSettings(steps=60_000, batch=256, learning_rate=2e-3, warmup=1000, weight_decay=0.05),
    },
    make=recognition_task,
)
