"""Train the specular method on examples of ``prepare_specular.py``; the same command goes on after a stop.

python scripts/train_specular.py --examples FOLDER [FOLDER ...] --out build/specular [--scale small]
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from facewright.methods.specular.train import load_task, schedule
from facewright.training.loop import train


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, default=Path("build/specular"))
    parser.add_argument("--scale", choices=("mini", "small", "full"), default="small")
    parser.add_argument("--steps", type=int, help="in place of the scale's")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = replace(schedule(options.scale), seed=options.seed)
    if options.steps is not None:
        settings = replace(settings, steps=options.steps)
    task = load_task(options.examples, options.scale)
    result = train(task, replace(settings, batch=task.training.batch), options.out)
    print(result)


if __name__ == "__main__":
    main()
