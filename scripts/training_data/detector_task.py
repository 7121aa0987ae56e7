"""The task of finding faces: scenes of photographs, and what each cell of the network should say of them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from facewright.core.tensor_records import device_of, on_device
from facewright.detection.crop import CROP_MARGIN
from facewright.networks.blocks import channels_last
from facewright.networks.heads import FaceNetwork

from .canvases import SceneBatches
from .photos import PhotoSet

CANVAS = 256
# Extents of the landmarks in px that each stride answers for; where they overlap both do.
EXTENTS = ((0.0, 40.0), (28.0, 112.0), (80.0, math.inf))
HELD_BATCHES, HELD_SCENES, HELD_SEED = 4, 24, 7  # of the judgement


@dataclass(frozen=True)
class DetectorBatch:
    """Scenes (B, 1, S, S), and for each stride scores (B, h, w) and values (B, h, w, 5)."""

    scenes: Tensor
    scores: tuple[Tensor, ...]
    values: tuple[Tensor, ...]


class DetectorTask:
    """Learns from scenes of labelled photographs on backdrops (N, S, S)."""

    name = "detector"
    version = 1
    metric = "loss"

    def __init__(self, seen: PhotoSet, held: PhotoSet, bank: np.ndarray, batch: int) -> None:
        """Draw scenes of ``seen``; judge by those of ``held``."""
        self.size = batch
        self.scenes = SceneBatches(seen, bank, CANVAS)
        self.told = {"batch": batch, "photos": len(seen), "kept_out": len(held), "backdrops": len(bank)}
        judged, rng = SceneBatches(held, bank, CANVAS), np.random.default_rng(HELD_SEED)
        self.held = [_batch(judged, HELD_SCENES, rng) for _ in range(HELD_BATCHES)]

    def settings(self) -> Mapping[str, object]:
        """What the numbers depend on."""
        return self.told

    def build(self, seed: int) -> nn.Module:
        """A fresh network."""
        torch.manual_seed(seed)
        return channels_last(FaceNetwork())

    def batch(self, seed: int, step: int, part: int, parts: int) -> DetectorBatch:
        """Scenes of a step."""
        return _batch(self.scenes, self.size // parts, np.random.default_rng((seed, step, part)))

    def losses(self, network: nn.Module, batch: DetectorBatch, step: int) -> dict[str, Tensor]:  # noqa: ARG002
        """Of the scores, and of the frames at centres of faces."""
        return losses(network, batch)

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """The same losses on scenes of kept-out photographs."""
        device = device_of(network)
        told = [losses(network, on_device(batch, device)) for batch in self.held]
        means = {name: float(torch.stack([terms[name] for terms in told]).mean()) for name in told[0]}
        return {"loss": sum(means.values()), **means}

    def pictures(self, network: nn.Module) -> dict[str, Tensor]:  # noqa: ARG002
        """None."""
        return {}


def _batch(scenes: SceneBatches, count: int, rng: np.random.Generator) -> DetectorBatch:
    drawn = scenes(count, rng)
    wanted = [
        [torch.from_numpy(part) for part in targets(drawn.frames, stride, extents)]
        for stride, extents in zip(FaceNetwork.STRIDES, EXTENTS, strict=True)
    ]
    scores, values = zip(*wanted, strict=True)
    return DetectorBatch(torch.from_numpy(drawn.canvases)[:, None], scores, values)


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


def losses(network: nn.Module, batch: DetectorBatch) -> dict[str, Tensor]:
    """Focal loss of the scores and L1 loss of the frames, for one cell at the centre of a face."""
    maps = network(batch.scenes.contiguous(memory_format=torch.channels_last))
    focal, frame, faces = (batch.scenes.new_zeros(()) for _ in range(3))
    for output, score, values in zip(maps, batch.scores, batch.values, strict=True):
        logit = output[:, 0]
        probability = logit.sigmoid()
        positive, negative = score == 1, (score >= 0) & (score < 1)
        # Focal loss with penalty reduction (Law 2018, eq. 1: alpha 2, beta 4).
        focal = focal - (logsigmoid(logit) * (1 - probability) ** 2)[positive].sum()
        quiet = logsigmoid(-logit) * probability**2 * (1 - score) ** 4
        focal = focal - quiet[negative].sum()
        predicted = output[:, 1:].permute(0, 2, 3, 1)[positive]
        wanted = values[positive]
        scale = wanted[:, 2:3].exp()  # side in strides: offsets count in parts of the face
        offset = ((predicted[:, :2] - wanted[:, :2]) / scale).abs().sum()
        frame = frame + 4 * offset + 2 * (predicted[:, 2:3] - wanted[:, 2:3]).abs().sum()
        frame = frame + (predicted[:, 3:] - wanted[:, 3:]).abs().sum()
        faces = faces + positive.sum()
    faces = faces.clamp_min(1.0)
    return {"score": focal / faces, "frame": frame / faces}
