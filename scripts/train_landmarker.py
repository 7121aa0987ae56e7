"""Train one of the two 478-point landmark networks on the labelled photographs.

Example: ``python scripts/train_landmarker.py second --data ../shared/data --made build/turned.npz
build/rendered.npz --backdrops build/backdrops.npz --out build/second --steps 5000``.
The first look is small and sees what the detector leaves; the second is finer and sees what the first leaves.
Run again with the same ``--out`` it goes on from the last checkpoint; docs/training.md lists what lies there.
"""

from pathlib import Path

import numpy as np

from facewright.networks.heads import LandmarkNetwork, LandmarkNetworkSettings
from facewright.networks.weights import read_weights
from facewright.training.loop import train
from facewright.training.settings import TrainingSettings
from training_data.canvases import Backdrops, backdrop_bank, load_backdrops
from training_data.commands import training_options
from training_data.landmarker_task import LOOKS, LandmarkerTask, LandmarkSources
from training_data.photos import PhotoSet, load_made, load_photos

BATCH = 64


def backdrops_of(path: Path | None, seen: PhotoSet, seed: int) -> Backdrops:
    """Mined backdrops, or plain ones if none were mined."""
    if path is not None:
        return load_backdrops(path)
    bank = backdrop_bank(seen, np.random.default_rng(seed), 1000, 384)
    return Backdrops(bank, np.zeros((0, 5)), np.zeros((0, 5)))


def main() -> None:
    """Read the options and train."""
    parser = training_options(__doc__, "build/landmarker", 5000)
    parser.add_argument("look", choices=sorted(LOOKS))
    parser.add_argument("--backdrops", type=Path, help="hard negatives of scripts/mine_false_faces.py")
    parser.add_argument("--start", type=Path, help="weight file to grow from")
    parser.add_argument("--rate", type=float, default=2e-3)
    options = parser.parse_args()
    photos = load_photos(options.data)
    start = options.start and read_weights(options.start, LandmarkNetwork, LandmarkNetworkSettings)
    empty = backdrops_of(options.backdrops, photos.select(~photos.kept_out), options.seed)
    made = tuple(load_made(path) for path in options.made)
    task = LandmarkerTask(options.look, LandmarkSources(photos, made, empty, start), BATCH)
    settings = TrainingSettings(
        steps=options.steps,
        batch=BATCH,
        learning_rate=options.rate,
        warmup=300,
        weight_decay=0.02,
        evaluate_every=200,
        checkpoint_every=200,
        journal_every=200,
        seed=options.seed,
    )
    print(task.told, flush=True)
    train(task, settings, options.out, workers=options.workers)


if __name__ == "__main__":
    main()
