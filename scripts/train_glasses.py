"""Train the network that sees spectacles on the crops of ``scripts/cut_glasses_crops.py``.

Example: ``python scripts/train_glasses.py --crops build/glasses_crops --out build/glasses``. Run again with
the same ``--out`` it goes on from the last checkpoint. ``python scripts/ship_network.py glasses`` ships it.
"""

import argparse
from pathlib import Path

import torch

from facewright.networks.segmentation import SegmentationNetwork, SegmentationNetworkSettings
from facewright.training.checkpoint import trained_network
from facewright.training.loop import train
from facewright.training.settings import TrainingSettings
from training_data.glasses_task import GlassesSettings, GlassesTask

BATCH = 16
COARSE = 0.55  # share of the steps that see bands of half the side


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crops", type=Path, default=Path("build/glasses_crops"))
    parser.add_argument("--out", type=Path, default=Path("build/glasses"))
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=0, help="processes that make batches ahead")
    parser.add_argument(
        "--earlier", type=Path, help="best.safetensors of a run that tells which faces are bare"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    earlier = None
    if options.earlier:
        kinds = SegmentationNetwork, SegmentationNetworkSettings
        earlier, _ = trained_network(options.earlier, "glasses", *kinds)
    how = GlassesSettings(batch=BATCH, coarse_steps=int(COARSE * options.steps))
    task = GlassesTask(options.crops, how, earlier)
    print(f"{len(task.usable)} bands", flush=True)
    settings = TrainingSettings(
        steps=options.steps,
        batch=BATCH,
        learning_rate=3e-3,
        warmup=options.steps // 20,
        weight_decay=0.02,
        ema=0.995,
        evaluate_every=max(options.steps // 8, 1),
        checkpoint_every=max(options.steps // 15, 1),
        journal_every=max(options.steps // 15, 1),
        seed=options.seed,
    )
    train(task, settings, options.out, workers=options.workers)


if __name__ == "__main__":
    main()
