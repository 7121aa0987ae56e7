"""The task of finding 478 points in a crop, for either look of the landmarker."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn

from facewright.core.tensor_records import device_of
from facewright.detection.points import OUTER_EYES
from facewright.networks.blocks import channels_last, fold_batch_norm
from facewright.networks.heads import LandmarkNetwork, LandmarkNetworkSettings

from .canvases import Backdrops
from .landmark_batches import (
    FIRST,
    SECOND,
    Batch,
    LandmarkBatches,
    Look,
    evaluation_batch,
    mirror_table,
    shape_modes,
)
from .photos import PhotoSet, join

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
HELD, HELD_SEED = 600, 7  # kept-out crops that the network is judged by


@dataclass(frozen=True)
class LandmarkSources:
    """What a landmarker learns from.

    Attributes:
        photos: labelled photographs, with those that are kept out.
        made: faces that were turned or rendered.
        empty: what shows no face.
        start: a network to grow from, or None.
    """

    photos: PhotoSet
    made: tuple[PhotoSet, ...]
    empty: Backdrops
    start: LandmarkNetwork | None = None


@dataclass(frozen=True)
class CropBatch:
    """Crops (B, 1, S, S) in [0, 1], targets (B, 478, 3) in crop units, presence (B,)."""

    crops: Tensor
    points: Tensor
    presence: Tensor


class LandmarkerTask:
    """Learns one look: ``first`` sees what the detector leaves, ``second`` what the first leaves."""

    version = 1
    metric = "kept_out_mean"

    def __init__(self, look: str, sources: LandmarkSources, batch: int) -> None:
        """Prepare crops of the photographs that are not kept out, and judge by those that are."""
        self.name, self.size, self.start = f"landmarker_{look}", batch, sources.start
        photos, self.look, self.network = sources.photos, LOOKS[look], SETTINGS[look]
        kept_out, seen = photos.select(photos.kept_out), photos.select(~photos.kept_out)
        self.landmarks, self.mirror = seen.landmarks, mirror_table(seen.landmarks)
        side, whole = self.network.input_size, join([seen, *sources.made])
        self.crops = LandmarkBatches(whole, sources.empty, self.mirror, side, self.look)
        self.held, _ = evaluation_batch(kept_out, HELD_SPREAD[look], HELD, side, HELD_SEED)
        self.told = {"photos": len(whole), "kept_out": len(kept_out), "backdrops": len(sources.empty.images)}

    def settings(self) -> Mapping[str, object]:
        """What the numbers depend on."""
        return {
            **self.told,
            "batch": self.size,
            "network": asdict(self.network),
            "grown": self.start is not None,
        }

    def build(self, seed: int) -> nn.Module:
        """A network whose last layer holds the principal modes of the training shapes."""
        network = build(self.landmarks, self.mirror, self.network, self.look, seed)
        if self.start is not None:
            grow(network, self.start)
        return channels_last(network)

    def batch(self, seed: int, step: int, part: int, parts: int) -> CropBatch:
        """Crops of a step."""
        drawn = self.crops(self.size // parts, np.random.default_rng((seed, step, part)))
        crops, points, presence = (torch.from_numpy(p) for p in (drawn.crops, drawn.points, drawn.presence))
        return CropBatch(crops[:, None], points, presence)

    def losses(self, network: nn.Module, batch: CropBatch, step: int) -> dict[str, Tensor]:  # noqa: ARG002
        """Of the points, and of whether there is a face."""
        points, logit = network(batch.crops.contiguous(memory_format=torch.channels_last))
        weights = point_weights().to(points.device)
        present = nn.functional.binary_cross_entropy_with_logits(logit, batch.presence)
        return {
            "points": landmark_loss(points, batch.points, batch.presence, weights),
            "presence": PRESENCE_WEIGHT * present,
        }

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Mean and 99th percentile of the error on kept-out crops."""
        return evaluate(network, self.held)

    def pictures(self, network: nn.Module) -> dict[str, Tensor]:  # noqa: ARG002
        """None."""
        return {}


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
    device, folded = device_of(network), fold_batch_norm(network)
    with torch.inference_mode():
        crops = [torch.from_numpy(part)[:, None].to(device) for part in np.array_split(batch.crops, 8)]
        points = torch.cat([folded(part)[0] for part in crops]).cpu().numpy()
    errors = 100 * errors_2d(points, batch.points)
    return {"kept_out_mean": float(errors.mean()), "kept_out_p99": float(np.percentile(errors, 99))}


def build(
    landmarks: np.ndarray, mirror: np.ndarray, settings: LandmarkNetworkSettings, look: Look, seed: int
) -> LandmarkNetwork:
    """A fresh network whose last layer holds the principal modes of the training shapes."""
    torch.manual_seed(seed)
    network = LandmarkNetwork(settings)
    mean, modes = shape_modes(landmarks, mirror, look, settings.modes, seed)
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
