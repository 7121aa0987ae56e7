"""Train the face detector on synthetic scenes made of the labelled photographs.

Example: ``python scripts/train_detector.py --data ../shared/data --made build/turned.npz``.
Run again with the same ``--out`` it goes on from the last checkpoint; docs/training.md lists what lies there.
"""

import argparse
from pathlib import Path

import numpy as np

from facewright.training.loop import train
from facewright.training.settings import TrainingSettings
from training_data.canvases import backdrop_bank
from training_data.detector_task import CANVAS, DetectorTask
from training_data.photos import join, load_made, load_photos

BATCH = 24


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("build/detector"))
    parser.add_argument("--made", type=Path, nargs="*", help="of turn_faces.py and render_faces.py")
    parser.add_argument("--backdrops", type=int, default=1500)
    parser.add_argument("--steps", type=int, default=4500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="processes that make batches ahead")
    options = parser.parse_args()
    photos = load_photos(options.data)
    held = photos.select(photos.kept_out)
    seen = join([photos.select(~photos.kept_out), *(load_made(path) for path in options.made or ())])
    bank = backdrop_bank(seen, np.random.default_rng(options.seed), options.backdrops, CANVAS + 128)
    task = DetectorTask(seen, held, bank, BATCH)
    print(task.told, flush=True)
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
    train(task, settings, options.out, workers=options.workers)


if __name__ == "__main__":
    main()
