"""The task of seeing spectacles: bands of faces that wear drawn ones or none."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from facewright.core.files import read_marker
from facewright.core.tensor_records import device_of, on_device
from facewright.detection.glasses_look import CLASSES, RATIO
from facewright.methods.segmentation.augment import AugmentSettings, photographed
from facewright.networks.blocks import channels_last
from facewright.networks.segmentation import SegmentationNetwork, SegmentationNetworkSettings

FORMAT_FILE, IMAGES, LABELS = "glasses-crops-1", "images.npy", "labels.npy"
WEIGHTS = (1.0, 3.0, 3.0, 1.0, 1.0)  # of the classes' pixels: rims and bars are thin
MAX_MARKER = 1 << 16
LENSES = 0.02  # share of a band's pixels from which on lenses are seen
CHUNK = 25  # bands that are judged together


@dataclass(frozen=True)
class GlassesSettings:
    """How the network learns.

    Attributes:
        network: its sizes.
        augment: of the bands.
        batch: bands in a step.
        coarse_steps: so many steps at first see bands of half the side, which cost a quarter.
    """

    network: SegmentationNetworkSettings = field(
        default_factory=lambda: SegmentationNetworkSettings(256, len(CLASSES), ratio=RATIO)
    )
    augment: AugmentSettings = field(
        default_factory=lambda: AugmentSettings(roll=0.06, scale=0.08, shift=0.02, grey=0.35, noise=0.04)
    )
    batch: int = 16
    coarse_steps: int = 0


@dataclass(frozen=True)
class GlassesBatch:
    """Bands (sRGB in [0, 1]) and the share of each class in their pixels."""

    images: Float[Tensor, "B 3 h w"]
    shares: Float[Tensor, "B K h w"]


class GlassesTask:
    """Learns from the crops of ``scripts/cut_glasses_crops.py``.

    Args:
        crops: folder of them.
        settings: how it learns.
        earlier: a network of an earlier run; bare faces on which it sees lenses are left out, since the
            photos were not sorted.
    """

    name = "glasses"
    version = 1
    metric = "error"

    def __init__(self, crops: Path, settings: GlassesSettings, earlier: nn.Module | None = None) -> None:
        self.folder, self.options = crops, settings
        self.told = {
            part: (read_marker(crops / part / FORMAT_FILE, MAX_MARKER) or {}).get("digest")
            for part in ("seen", "kept_out")
        }
        if None in self.told.values():
            raise SystemExit(f"expected crops of scripts/cut_glasses_crops.py in {crops}.")
        self._open: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.usable = np.arange(len(self._arrays("seen")[0]))
        if earlier is not None:
            self.usable = np.setdiff1d(self.usable, self._doubted(earlier))

    def __getstate__(self) -> dict[str, object]:
        """Processes map the files themselves."""
        return {**self.__dict__, "_open": {}}

    def _arrays(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        if part not in self._open:
            images, labels = (
                np.load(self.folder / part / name, mmap_mode="r", allow_pickle=False)
                for name in (IMAGES, LABELS)
            )
            self._open[part] = images, labels
        return self._open[part]

    def settings(self) -> Mapping[str, object]:
        """What the numbers depend on."""
        counts = {"seen": len(self.usable), "kept_out": len(self._arrays("kept_out")[0])}
        return {**asdict(self.options), "crops": self.told, "counts": counts}

    def _doubted(self, network: nn.Module) -> np.ndarray:
        """Bands of bare faces on which a network sees lenses."""
        images, labels = self._arrays("seen")
        bare = np.flatnonzero([not label.any() for label in labels])
        found = []
        for rows in np.array_split(bare, max(1, len(bare) // CHUNK)):
            batch = _viewed(images[rows], labels[rows], self.options.network.input_size, _still(len(rows)))
            found += _lenses(network, batch).tolist()
        return bare[np.array(found, dtype=bool)]

    def build(self, seed: int) -> nn.Module:
        """A fresh network."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = SegmentationNetwork(self.options.network)
        return channels_last(network)

    def batch(self, seed: int, step: int, part: int, parts: int) -> GlassesBatch:
        """Bands of a step, changed at random."""
        rng = np.random.default_rng([seed, step, part])
        images, labels = self._arrays("seen")
        chosen = np.sort(rng.choice(self.usable, self.options.batch // parts, replace=False))
        width = self.options.network.input_size // (2 if step < self.options.coarse_steps else 1)
        batch = _viewed(images[chosen], labels[chosen], width, _moves(len(chosen), self.options.augment, rng))
        return GlassesBatch(photographed(batch.images, self.options.augment, rng), batch.shares)

    def losses(self, network: nn.Module, batch: GlassesBatch, step: int) -> dict[str, Tensor]:  # noqa: ARG002
        """Cross entropy to the classes' shares."""
        (logits,) = network(batch.images.contiguous(memory_format=torch.channels_last))
        weights = batch.shares * batch.shares.new_tensor(WEIGHTS)[:, None, None]
        return {"pixels": -(weights * logits.float().log_softmax(1)).sum(1).mean()}

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """1 - mean soft intersection over union of the classes, and lenses seen on bare faces."""
        images, labels = self._arrays("kept_out")
        inter, union, bare, faces = torch.zeros(len(CLASSES)), torch.zeros(len(CLASSES)), 0.0, 0
        for rows in np.array_split(np.arange(len(images)), max(1, len(images) // CHUNK)):
            batch = _viewed(images[rows], labels[rows], self.options.network.input_size, _still(len(rows)))
            batch = on_device(batch, device_of(network))
            with torch.no_grad():
                found = network(batch.images)[0].softmax(1)
            inter += torch.minimum(found, batch.shares).sum((0, 2, 3)).cpu()
            union += torch.maximum(found, batch.shares).sum((0, 2, 3)).cpu()
            none = batch.shares[:, 1:].sum((1, 2, 3)) < 1
            bare += float(_lenses(network, batch)[none].sum())
            faces += int(none.sum())
        shares = inter / union.clamp_min(1)
        told = {f"iou_{name}": float(share) for name, share in zip(CLASSES, shares, strict=True)}
        return {"error": float(1 - shares.mean()), **told, "lenses_on_bare": bare / max(faces, 1)}

    def pictures(self, network: nn.Module) -> dict[str, Tensor]:
        """Kept-out bands and what the network sees in them."""
        images, labels = self._arrays("kept_out")
        rows = np.linspace(0, len(images) - 1, 8).round().astype(int)
        batch = _viewed(images[rows], labels[rows], self.options.network.input_size, _still(len(rows)))
        with torch.no_grad():
            found = network(batch.images.to(device_of(network)))[0].softmax(1).cpu()
        told = torch.stack([found[:, 1] + found[:, 4], found[:, 2], found[:, 3]], 1).clamp(0, 1)
        return {"bands": torch.cat([torch.cat(list(batch.images), 1), torch.cat(list(told), 1)], 2)}


def _lenses(network: nn.Module, batch: GlassesBatch) -> Bool[Tensor, " B"]:
    """Whether a network sees lenses."""
    with torch.no_grad():
        found = network(batch.images)[0].softmax(1)
    return found[:, [CLASSES.index("lens"), CLASSES.index("dark")]].sum(1).mean((1, 2)) > LENSES


def _moves(count: int, settings: AugmentSettings, rng: np.random.Generator) -> Float[Tensor, "B 2 3"]:
    """From places of the network's band to those of the stored one, both from -1 to 1."""
    roll = settings.roll * rng.normal(size=count)
    scale = np.exp(settings.scale * rng.normal(size=count))
    mirror = rng.choice([-1.0, 1.0], count)
    right, down = 2 * settings.shift * rng.normal(size=(2, count)) * [[1.0], [RATIO]]
    across = np.stack([scale * mirror * np.cos(roll), -scale * np.sin(roll) / RATIO, right], 1)
    along = np.stack([scale * mirror * np.sin(roll) * RATIO, scale * np.cos(roll), down], 1)
    return torch.from_numpy(np.stack([across, along], 1).astype(np.float32))


def _still(count: int) -> Float[Tensor, "B 2 3"]:
    return torch.eye(2, 3).expand(count, 2, 3)


def _viewed(
    images: np.ndarray, labels: np.ndarray, width: int, moves: Float[Tensor, "B 2 3"]
) -> GlassesBatch:
    """Bands of a width; labels are kept at half of it and enlarged, as the network's logits are."""
    count, height = len(images), width // RATIO
    seen, known = (torch.from_numpy(each).permute(0, 3, 1, 2).float() / 255 for each in (images, labels))
    if width < seen.shape[-1] * 0.6:
        seen, known = (functional.avg_pool2d(each, 2) for each in (seen, known))
    grid = functional.affine_grid(moves, [count, 3, height, width], align_corners=False)
    seen = functional.grid_sample(seen, grid, "bilinear", "border", align_corners=False)
    known = functional.grid_sample(known, grid, "bilinear", "zeros", align_corners=False)
    nothing = (1 - known.sum(1, keepdim=True)).clamp_min(0)
    shares = torch.cat([nothing, known], 1)
    return GlassesBatch(seen, shares / shares.sum(1, keepdim=True).clamp_min(math.ulp(1.0)))
