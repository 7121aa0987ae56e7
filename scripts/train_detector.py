"""Train the face detector on synthetic scenes made of the labelled photographs and write its checkpoint.

Example: ``python scripts/train_detector.py --data ../shared/data --made build/turned.npz``.
Run again with the same ``--out`` it goes on from the last checkpoint.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from facewright.detection.crop import CROP_MARGIN
from facewright.networks.blocks import channels_last
from facewright.networks.heads import FaceNetwork
from training_data.canvases import SceneBatches, backdrop_bank
from training_data.loop import Schedule, train
from training_data.photos import join, load_made, load_photos

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


def losses(
    network: nn.Module, batches: SceneBatches, count: int, rng: np.random.Generator
) -> tuple[Tensor, dict[str, float]]:
    """Focal loss of the scores and L1 loss of the frames over one batch of scenes."""
    scenes = batches(count, rng)
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
    return (focal + frame) / faces, {"score": focal.item() / faces, "frame": frame.item() / faces}


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("build/detector"))
    parser.add_argument("--made", type=Path, nargs="*", help="of turn_faces.py and render_faces.py")
    parser.add_argument("--backdrops", type=int, default=1500)
    parser.add_argument("--steps", type=int, default=4500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    photos = load_photos(options.data)
    seen = join([photos.select(~photos.kept_out), *(load_made(path) for path in options.made or ())])
    torch.manual_seed(options.seed)
    network = channels_last(FaceNetwork())
    bank = backdrop_bank(seen, np.random.default_rng(options.seed), options.backdrops, CANVAS + 128)
    print(f"{len(seen)} photos, {len(bank)} backdrops", flush=True)
    workers = []
    for _ in range(options.workers):
        scenes = SceneBatches(seen, bank, CANVAS)
        workers.append(lambda copy, count, rng, scenes=scenes: losses(copy, scenes, count, rng))
    schedule = Schedule(options.steps, 24, 3e-3, 200, options.workers, 100, options.seed)
    train(network, workers, schedule, options.out)


if __name__ == "__main__":
    main()
