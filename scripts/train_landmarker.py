"""Train one of the two 478-point landmark networks on the labelled photographs and write its checkpoint.

Example: ``python scripts/train_landmarker.py second --data ../shared/data --made build/turned.npz
build/rendered.npz --backdrops build/backdrops.npz --out build/second --steps 5000``.
The first look is small and sees what the detector leaves; the second is finer and sees what the first leaves.
Run again with the same ``--out`` it goes on from the last checkpoint.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from facewright.detection.points import OUTER_EYES
from facewright.networks.blocks import channels_last, fold_batch_norm
from facewright.networks.heads import LandmarkNetwork, LandmarkNetworkSettings
from facewright.networks.weights import read_weights
from training_data.canvases import Backdrops, backdrop_bank, load_backdrops
from training_data.landmark_batches import (
    FIRST,
    SECOND,
    Batch,
    LandmarkBatches,
    Look,
    evaluation_batch,
    mirror_table,
    shape_modes,
)
from training_data.loop import Schedule, train
from training_data.photos import PhotoSet, join, load_made, load_photos

# Eyes with lids, lips and irises count more: a method reads the expression from them.
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409,
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415,
)  # fmt: skip
IRISES = tuple(range(468, 478))
LOOKS = {"first": FIRST, "second": SECOND}
SETTINGS = {
    "first": LandmarkNetworkSettings(64, (16, 32, 64, 96), lateral=24, hidden=160, modes=64),
    "second": LandmarkNetworkSettings(160, spots=64),
}
HELD_SPREAD = {"first": (0.03, 0.06, 0.07), "second": (0.012, 0.025, 0.04)}  # of the kept-out crops
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
    eyes = (target[:, OUTER_EYES[0]] - target[:, OUTER_EYES[1]]).norm(dim=-1)
    error = (points - target).abs() / eyes[:, None, None]
    # Wing-like (Feng 2018, eq. 5, omega 0.1, epsilon 0.02): keeps a pull on errors of a few per cent.
    wing = torch.where(error < 0.1, 0.1 * torch.log1p(error / 0.02), error - 0.1 + 0.1 * math.log1p(5.0))
    per_face = (wing * weights).mean((1, 2))
    return (per_face * present).sum() / present.sum().clamp(min=1)


def errors_2d(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Mean point distance of each face over its outer eye distance, both in the image plane."""
    distance = np.linalg.norm(points[..., :2] - target[..., :2], axis=-1).mean(1)
    eyes = np.linalg.norm(target[:, OUTER_EYES[0], :2] - target[:, OUTER_EYES[1], :2], axis=-1)
    return distance / eyes


def evaluate(network: nn.Module, batch: Batch) -> dict[str, float]:
    """Mean and 99th percentile of the error, in per cent of the outer eye distance."""
    folded = fold_batch_norm(network)
    with torch.inference_mode():
        parts = [folded(torch.from_numpy(part)[:, None])[0] for part in np.array_split(batch.crops, 8)]
    errors = 100 * errors_2d(torch.cat(parts).numpy(), batch.points)
    return {"kept_out_mean": float(errors.mean()), "kept_out_p99": float(np.percentile(errors, 99))}


def build(
    photos: PhotoSet, mirror: np.ndarray, settings: LandmarkNetworkSettings, look: Look, seed: int
) -> LandmarkNetwork:
    """A fresh network whose last layer holds the principal modes of the training shapes."""
    torch.manual_seed(seed)
    network = LandmarkNetwork(settings)
    mean, modes = shape_modes(photos.landmarks, mirror, look, settings.modes, seed)
    network.start_from_modes(torch.from_numpy(mean), torch.from_numpy(modes))
    return network


def grow(network: LandmarkNetwork, trained: LandmarkNetwork) -> None:
    """Start ``network`` from one of the same widths that was trained on crops of another size."""
    state = trained.state_dict()
    sizes = [n.settings.input_size // 2 ** len(n.settings.widths) for n in (trained, network)]
    parts, start = [], 0
    for channels, scale in ((network.settings.widths[-1], 1), (network.settings.lateral, 2)):
        before, after = (size * scale for size in sizes)
        block = state["hidden.weight"][:, start : start + channels * before**2]
        maps = block.unflatten(1, (channels, before, before))
        # Each weight spreads over the cells that cover its place.
        spread = nn.functional.interpolate(maps, (after, after), mode="bilinear", align_corners=False)
        parts.append((spread * (before / after) ** 2).flatten(1))
        start += channels * before**2
    state["hidden.weight"] = torch.cat(parts, 1)
    missing = network.load_state_dict(state, strict=False)
    if missing.unexpected_keys:
        raise ValueError(f"weights of no layer of this network: {missing.unexpected_keys}")


def losses(
    network: nn.Module, batches: LandmarkBatches, count: int, rng: np.random.Generator
) -> tuple[Tensor, dict[str, float]]:
    """Landmark and presence loss over one batch of crops."""
    batch = batches(count, rng)
    crops = torch.from_numpy(batch.crops)[:, None].contiguous(memory_format=torch.channels_last)
    present = torch.from_numpy(batch.presence)
    points, logit = network(crops)
    loss_points = landmark_loss(points, torch.from_numpy(batch.points), present, point_weights())
    loss_presence = nn.functional.binary_cross_entropy_with_logits(logit, present)
    terms = {"loss": loss_points.item(), "presence": loss_presence.item()}
    return loss_points + PRESENCE_WEIGHT * loss_presence, terms


def backdrops_of(path: Path | None, seen: PhotoSet, seed: int) -> Backdrops:
    """Mined backdrops, or plain ones if none were mined."""
    if path is not None:
        return load_backdrops(path)
    bank = backdrop_bank(seen, np.random.default_rng(seed), 1000, 384)
    return Backdrops(bank, np.zeros((0, 5)), np.zeros((0, 5)))


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("look", choices=sorted(LOOKS))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("build/landmarker"))
    parser.add_argument("--made", type=Path, nargs="*", help="of turn_faces.py and render_faces.py")
    parser.add_argument("--backdrops", type=Path, help="hard negatives of scripts/mine_false_faces.py")
    parser.add_argument("--start", type=Path, help="weight file to grow from")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    photos = load_photos(options.data)
    look, settings = LOOKS[options.look], SETTINGS[options.look]
    kept_out, seen = photos.select(photos.kept_out), photos.select(~photos.kept_out)
    mirror = mirror_table(seen.landmarks)
    network = build(seen, mirror, settings, look, options.seed)
    if options.start is not None:
        grow(network, read_weights(options.start, LandmarkNetwork, LandmarkNetworkSettings))
    empty = backdrops_of(options.backdrops, seen, options.seed)
    seen = join([seen, *(load_made(path) for path in options.made or ())])
    workers = []
    for _ in range(options.workers):
        batches = LandmarkBatches(seen, empty, mirror, settings.input_size, look)
        workers.append(lambda copy, count, rng, batches=batches: losses(copy, batches, count, rng))
    held, _ = evaluation_batch(kept_out, HELD_SPREAD[options.look], 600, settings.input_size, 7)
    print(f"{len(seen)} training photos, {len(kept_out)} kept out", flush=True)
    schedule = Schedule(options.steps, 64, options.rate, 300, options.workers, 200, options.seed)
    train(channels_last(network), workers, schedule, options.out, lambda average: evaluate(average, held))


if __name__ == "__main__":
    main()
