"""Train the face detector on synthetic scenes made of the labelled photographs.

Example: ``python scripts/train_detector.py --data ../shared/data --made build/turned.npz``.
Run again with the same ``--out`` it goes on from the last checkpoint; docs/training.md lists what lies there.
"""

import numpy as np

from facewright.training.loop import train
from facewright.training.settings import TrainingSettings
from training_data.canvases import backdrop_bank
from training_data.commands import training_options
from training_data.detector_task import CANVAS, DetectorTask
from training_data.photos import join, load_made, load_photos

BATCH = 24


def main() -> None:
    """Read the options and train."""
    parser = training_options(__doc__, "build/detector", 4500)
    parser.add_argument("--backdrops", type=int, default=1500)
    options = parser.parse_args()
    photos = load_photos(options.data)
    held = photos.select(photos.kept_out)
    seen = join([photos.select(~photos.kept_out), *(load_made(path) for path in options.made)])
    bank = backdrop_bank(seen, np.random.default_rng(options.seed), options.backdrops, CANVAS + 128)
    task = DetectorTask(seen, held, bank, BATCH)
    settings = TrainingSettings(
        steps=options.steps,
        batch=BATCH,
        learning_rate=3e-3,
        warmup=200,
        weight_decay=0.02,
        evaluate_every=500,
        checkpoint_every=100,
        journal_every=100,
        seed=options.seed,
    )
    print(task.told, flush=True)
    train(task, settings, options.out, workers=options.workers)


if __name__ == "__main__":
    main()
