"""Train the face detector on synthetic scenes made of the labelled photographs and write its checkpoint.

Example: ``python scripts/train_detector.py --data ../shared/data --turned build/turned.npz``.
Run again with the same ``--out`` it goes on from the last checkpoint.
"""

import argparse
import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from facewright.detection.crop import CROP_MARGIN
from facewright.networks.blocks import channels_last
from facewright.networks.heads import FaceNetwork
from training_data.canvases import SceneBatches, backdrop_bank
from training_data.photos import join, load_photos
from training_data.replicas import Replica, save_checkpoint, take_step, update_average
from training_data.turned import load_turned

CANVAS = 256
# Extents of the landmarks in px that each stride answers for; where they overlap both do.
EXTENTS = ((0.0, 40.0), (28.0, 112.0), (80.0, math.inf))


def targets(frames: np.ndarray, stride: int, extents: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Score (B, h, w): 1 centres, under 1 near centres, -1 ignored; values (B, h, w, 5) at centres."""
    cells = CANVAS // stride
    score = np.zeros((len(frames), cells, cells), np.float32)
    values = np.zeros((len(frames), cells, cells, 5), np.float32)
    grid = (np.arange(cells) + 0.5) * stride
    for b, k in zip(*np.nonzero(frames[..., 2] > 0), strict=True):
        x, y, side, roll = frames[b, k]
        extent = side / CROP_MARGIN
        squared = (grid[None, :] - x) ** 2 + (grid[:, None] - y) ** 2
        if extents[0] <= extent <= extents[1]:
            # Near the centre a high score costs little (Law 2018, section 3.2).
            soft = np.exp(-squared / (2 * (0.09 * extent + 0.25 * stride) ** 2))
            score[b] = np.where(score[b] < 0, score[b], np.maximum(score[b], 0.99 * soft))
            row, column = int(np.clip(y / stride, 0, cells - 1)), int(np.clip(x / stride, 0, cells - 1))
            near = squared <= max(squared.min(), (0.45 * stride) ** 2, (0.07 * extent) ** 2)
            near[row, column] = True
            score[b][near] = 1.0
            for r, c in zip(*np.nonzero(near), strict=True):
                values[b, r, c] = (
                    (x - grid[c]) / stride, (y - grid[r]) / stride, math.log(side / stride),
                    math.cos(roll), math.sin(roll),
                )  # fmt: skip
        else:
            ignored = (squared < (0.25 * extent) ** 2) & (score[b] < 1)
            score[b][ignored] = -1.0
    return score, values


def losses(network: nn.Module, batches: SceneBatches, count: int) -> tuple[Tensor, list[float]]:
    """Focal loss of the scores and L1 loss of the frames over one batch of scenes."""
    scenes = batches(count)
    maps = network(torch.from_numpy(scenes.canvases)[:, None].contiguous(memory_format=torch.channels_last))
    focal, frame, faces = torch.zeros(()), torch.zeros(()), 0.0
    for output, stride, extents in zip(maps, FaceNetwork.STRIDES, EXTENTS, strict=True):
        score, values = (torch.from_numpy(part) for part in targets(scenes.frames, stride, extents))
        logit = output[:, 0]
        probability = logit.sigmoid()
        positive, negative = score == 1, (score >= 0) & (score < 1)
        # Focal loss with penalty reduction (Law 2018, eq. 1: alpha 2, beta 4).
        focal = focal - (nn.functional.logsigmoid(logit) * (1 - probability) ** 2)[positive].sum()
        quiet = nn.functional.logsigmoid(-logit) * probability**2 * (1 - score) ** 4
        focal = focal - quiet[negative].sum()
        predicted = output[:, 1:].permute(0, 2, 3, 1)[positive]
        wanted = values[positive]
        scale = wanted[:, 2:3].exp()  # side in strides: offsets count in parts of the face
        offset = ((predicted[:, :2] - wanted[:, :2]) / scale).abs().sum()
        frame = frame + 4 * offset + 2 * (predicted[:, 2:3] - wanted[:, 2:3]).abs().sum()
        frame = frame + (predicted[:, 3:] - wanted[:, 3:]).abs().sum()
        faces += float(positive.sum())
    faces = max(faces, 1.0)
    return (focal + frame) / faces, [focal.item() / faces, frame.item() / faces]


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Warm-up over 200 steps, then half a cosine to a hundredth of the peak."""
    if step < 200:
        return peak * (step + 1) / 200
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(step / steps, 1.0))))


def train(options: argparse.Namespace) -> None:
    """The training loop; journal and checkpoints go to ``options.out``."""
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    photos = load_photos(options.data)
    seen = photos.select(~photos.kept_out)
    if options.turned:
        seen = join([seen, load_turned(options.turned)])
    torch.manual_seed(options.seed)
    network = channels_last(FaceNetwork())
    average = channels_last(FaceNetwork())
    average.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), lr=options.rate, weight_decay=0.02, fused=True)
    checkpoint, start = options.out / "checkpoint.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        start = state["step"]
    bank = backdrop_bank(seen, np.random.default_rng(options.seed), options.backdrops, CANVAS + 128)
    replicas = []
    for index in range(options.workers):
        batches = SceneBatches(seen, bank, CANVAS, np.random.default_rng((options.seed, start, index)))
        share = options.batch // options.workers
        replicas.append(Replica(network, lambda copy, b=batches, n=share: losses(copy, b, n)))
    print(f"{len(seen)} photos, {len(bank)} backdrops; step {start} of {options.steps}", flush=True)
    pool = ThreadPoolExecutor(options.workers)
    clock, sums = time.time(), np.zeros(2)
    for step in range(start, options.steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, options.steps, options.rate)
        sums += np.mean([run.result() for run in [pool.submit(replica) for replica in replicas]], 0)
        take_step(network, replicas, optimiser)
        update_average(average, network, step)
        if (step + 1) % options.journal == 0 or step + 1 == options.steps:
            seconds, clock = time.time() - clock, time.time()
            sums /= options.journal
            line = {
                "step": step + 1, "score": round(sums[0], 4), "frame": round(sums[1], 4),
                "per_second": round(options.journal * options.batch / seconds),
            }  # fmt: skip
            print(json.dumps(line), flush=True)
            sums[:] = 0
            save_checkpoint(
                checkpoint, network=network.state_dict(), average=average.state_dict(),
                optimiser=optimiser.state_dict(), step=step + 1,
            )  # fmt: skip
    pool.shutdown()


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("build/detector"))
    parser.add_argument("--turned", type=Path, help="faces turned by scripts/turn_faces.py")
    parser.add_argument("--backdrops", type=int, default=1500)
    parser.add_argument("--steps", type=int, default=4500)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--journal", type=int, default=100)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
