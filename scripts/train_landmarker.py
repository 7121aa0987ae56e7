"""Train the 478-point landmark network on the labelled photographs and write the shipped weights.

Example: ``python scripts/train_landmarker.py --data ../shared/data --out build/landmarker --steps 15000``.
Run again with the same ``--out`` it goes on from the last checkpoint.
"""

import argparse
import json
import math
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from facewright.networks.blocks import channels_last, fold_batch_norm
from facewright.networks.heads import LandmarkNetwork, LandmarkNetworkSettings
from training_data.canvases import Backdrops, backdrop_bank, load_backdrops
from training_data.landmark_batches import (
    OUTER_EYE,
    Batch,
    LandmarkBatches,
    evaluation_batch,
    mirror_table,
    shape_modes,
)
from training_data.photos import PhotoSet, join, load_photos
from training_data.replicas import Replica, save_checkpoint, take_step, update_average
from training_data.turned import load_turned

# Eyes with lids, lips and irises count more: a method reads the expression from them.
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409,
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415,
)  # fmt: skip
IRISES = tuple(range(468, 478))
DEPTH_WEIGHT = 0.3
PRESENCE_WEIGHT = 0.05


def point_weights() -> Tensor:
    """(478, 3) weights of the landmark loss, mean 1 over x and y."""
    weights = torch.ones(478)
    weights[list(RIGHT_EYE + LEFT_EYE + LIPS)] = 3.0
    weights[list(IRISES)] = 3.0
    weights = weights / weights.mean()
    return torch.stack([weights, weights, DEPTH_WEIGHT * weights], -1)


def landmark_loss(points: Tensor, target: Tensor, present: Tensor, weights: Tensor) -> Tensor:
    """Wing-like loss of the points over the outer eye distance in space."""
    eyes = (target[:, OUTER_EYE[0]] - target[:, OUTER_EYE[1]]).norm(dim=-1)
    error = (points - target).abs() / eyes[:, None, None]
    # Wing-like (Feng 2018, eq. 5, omega 0.1, epsilon 0.02): keeps a pull on errors of a few per cent.
    wing = torch.where(error < 0.1, 0.1 * torch.log1p(error / 0.02), error - 0.1 + 0.1 * math.log1p(5.0))
    per_face = (wing * weights).mean((1, 2))
    return (per_face * present).sum() / present.sum().clamp(min=1)


def errors_2d(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Mean point distance of each face over its outer eye distance, both in the image plane."""
    distance = np.linalg.norm(points[..., :2] - target[..., :2], axis=-1).mean(1)
    eyes = np.linalg.norm(target[:, OUTER_EYE[0], :2] - target[:, OUTER_EYE[1], :2], axis=-1)
    return distance / eyes


def evaluate(network: nn.Module, batch: Batch) -> tuple[float, float]:
    """Mean and 99th percentile of the error, in per cent of the outer eye distance."""
    folded = fold_batch_norm(network)
    with torch.inference_mode():
        parts = [folded(torch.from_numpy(part)[:, None])[0] for part in np.array_split(batch.crops, 8)]
    errors = 100 * errors_2d(torch.cat(parts).numpy(), batch.points)
    return float(errors.mean()), float(np.percentile(errors, 99))


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Warm-up over 300 steps, then half a cosine to a hundredth of the peak."""
    if step < 300:
        return peak * (step + 1) / 300
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(step / steps, 1.0))))


def build(photos: PhotoSet, mirror: np.ndarray, seed: int) -> LandmarkNetwork:
    """A fresh network whose last layer holds the principal modes of the training shapes."""
    torch.manual_seed(seed)
    settings = LandmarkNetworkSettings()
    network = LandmarkNetwork(settings)
    mean, modes = shape_modes(photos.landmarks, mirror, settings.modes, seed)
    network.start_from_modes(torch.from_numpy(mean), torch.from_numpy(modes))
    return channels_last(network)


def losses(
    network: nn.Module, batches: LandmarkBatches, count: int, weights: Tensor
) -> tuple[Tensor, list[float]]:
    """Landmark and presence loss over one batch of crops."""
    batch = batches(count)
    crops = torch.from_numpy(batch.crops)[:, None].contiguous(memory_format=torch.channels_last)
    present = torch.from_numpy(batch.presence)
    points, logit = network(crops)
    loss_points = landmark_loss(points, torch.from_numpy(batch.points), present, weights)
    loss_presence = nn.functional.binary_cross_entropy_with_logits(logit, present)
    return loss_points + PRESENCE_WEIGHT * loss_presence, [loss_points.item(), loss_presence.item()]


def train(options: argparse.Namespace) -> None:
    """The training loop; journal and checkpoints go to ``options.out``."""
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    photos = load_photos(options.data)
    kept_out = photos.select(photos.kept_out)
    seen = photos.select(~photos.kept_out)
    mirror = mirror_table(seen.landmarks)
    network, average = build(seen, mirror, options.seed), build(seen, mirror, options.seed)
    if options.turned:
        seen = join([seen, load_turned(options.turned)])
    optimiser = torch.optim.AdamW(network.parameters(), lr=options.rate, weight_decay=0.02, fused=True)
    checkpoint, start = options.out / "checkpoint.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        start = state["step"]
    size = network.settings.input_size
    if options.backdrops:
        empty = load_backdrops(options.backdrops)
    else:
        bank = backdrop_bank(photos.select(~photos.kept_out), np.random.default_rng(options.seed), 1000, 384)
        empty = Backdrops(bank, np.zeros((0, 5)), np.zeros((0, 5)))
    share, weights, replicas = options.batch // options.workers, point_weights(), []
    for index in range(options.workers):
        rng = np.random.default_rng((options.seed, start, index))
        batches = LandmarkBatches(seen, empty, mirror, size, rng)
        replicas.append(Replica(network, lambda copy, b=batches: losses(copy, b, share, weights)))
    held, _ = evaluation_batch(kept_out, 600, size, 7)
    print(
        f"{len(seen)} training photos, {len(kept_out)} kept out; step {start} of {options.steps}", flush=True
    )
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
            mean, worst = evaluate(average, held)
            sums /= options.journal
            line = {
                "step": step + 1, "loss": round(sums[0], 5), "presence": round(sums[1], 4),
                "kept_out_mean": round(mean, 3), "kept_out_p99": round(worst, 3),
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
    parser.add_argument("--out", type=Path, default=Path("build/landmarker"))
    parser.add_argument("--turned", type=Path, help="faces turned by scripts/turn_faces.py")
    parser.add_argument("--backdrops", type=Path, help="hard negatives of scripts/mine_false_faces.py")
    parser.add_argument("--steps", type=int, default=15000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--journal", type=int, default=500)
    train(parser.parse_args(sys.argv[1:]))


if __name__ == "__main__":
    main()
