"""Train the segmentation network on the crops of ``cut_segmentation_crops.py`` and write its checkpoint.

Example: ``python scripts/train_segmentation.py --crops build/crops --out build/segmentation --steps 1500``.
Run again with the same ``--out`` it goes on from the last checkpoint.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from facewright.methods.segmentation.train import SegmentationTask
from facewright.networks.blocks import fold_batch_norm
from training_data.loop import Schedule, train


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crops", type=Path, default=Path("build/crops"))
    parser.add_argument("--out", type=Path, default=Path("build/segmentation"))
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--journal", type=int, default=300)
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = SegmentationTask(options.crops)

    def losses(network: nn.Module, count: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        parts = task.options.batch // count
        batch = task.batch(int(rng.integers(2**31)), 0, 0, parts)
        terms = task.losses(network, batch, 0)
        return torch.stack(list(terms.values())).sum(), {name: term.item() for name, term in terms.items()}

    def measure(average: nn.Module) -> dict[str, float]:
        network = fold_batch_norm(average)
        for name, sheet in task.pictures(network).items():
            pixels = (sheet.permute(1, 2, 0) * 255 + 0.5).to(torch.uint8).numpy()
            Image.fromarray(pixels).save(options.out / f"{name}.png")
        return task.evaluate(network)

    batch = task.options.batch
    schedule = Schedule(options.steps, batch, options.rate, 100, 1, options.journal, options.seed)
    train(task.build(options.seed), [losses], schedule, options.out, measure)


if __name__ == "__main__":
    main()
