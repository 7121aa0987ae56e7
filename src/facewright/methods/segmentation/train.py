"""The task of learning segmentation: exact labels of synthetic photos, half-known ones of real photos."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from facewright.core.errors import InputError
from facewright.core.ranges import check_range
from facewright.core.tensor_records import device_of, on_device
from facewright.detection.segmentation import CLASSES
from facewright.methods.segmentation.augment import AugmentSettings, covered, photographed, unchanged, viewed
from facewright.methods.segmentation.crops import KEPT_OUT, SYNTHETIC, CropStore
from facewright.networks.blocks import channels_last
from facewright.networks.segmentation import SegmentationNetwork, SegmentationNetworkSettings
from facewright.training.batches import part_of
from facewright.training.precision import in_float32

SMALL = ("eyes", "inner_mouth")  # classes of few pixels
COLORS = ((0, 0, 0), (255, 150, 100), (150, 80, 50), (0, 255, 0), (255, 0, 0), (80, 80, 255))
ON_SHEET = 12  # crops


@dataclass(frozen=True)
class SegmentationSettings:
    """How the network learns.

    Attributes:
        network: its sizes.
        augment: of the crops.
        batch: crops in a step.
        real: share of real crops in a batch.
        real_weight: of their loss.
        small_weight: of pixels that surely show eyes or the inside of the mouth.
        coarse_steps: so many steps at first see crops of half the side, which cost a quarter.
    """

    network: SegmentationNetworkSettings = field(default_factory=SegmentationNetworkSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    batch: int = 16
    real: float = 0.4
    real_weight: float = 0.5
    small_weight: float = 3.0
    coarse_steps: int = 0

    def __post_init__(self) -> None:
        check_range(self, 1, math.inf, "batch")
        check_range(self, 0, 1, "real")
        check_range(self, 0, math.inf, "real_weight", "small_weight", "coarse_steps")


@dataclass(frozen=True)
class SegmentationBatch:
    """Crops and what their pixels may be.

    Attributes:
        images: sRGB in [0, 1].
        labels: bits of the classes.
        weights: of each crop in the loss.
    """

    images: Float[Tensor, "B 3 S S"]
    labels: UInt8[Tensor, "B S S"]
    weights: Float[Tensor, " B"]


class SegmentationTask:
    """Learns from the crops of ``scripts/cut_segmentation_crops.py``.

    Raises:
        InputError: the folder has no crops of synthetic photos, or none that are kept out.
    """

    name = "segmentation"
    version = 1
    metric = "error"

    def __init__(self, crops: Path, settings: SegmentationSettings = SegmentationSettings()) -> None:
        self.options = settings
        names = sorted(path.name for path in crops.iterdir() if path.is_dir()) if crops.is_dir() else []
        kept = [name for name in names if name.endswith(KEPT_OUT)]
        seen = [name for name in names if name not in kept and not name.startswith(".")]
        self.synthetic, self.real, self.held, self.real_held = (
            [CropStore(crops / name) for name in some]
            for some in (
                [name for name in seen if name.startswith(SYNTHETIC)],
                [name for name in seen if not name.startswith(SYNTHETIC)],
                [name for name in kept if name.startswith(SYNTHETIC)],
                [name for name in kept if not name.startswith(SYNTHETIC)],
            )
        )
        if not self.synthetic or not self.held:
            raise InputError(
                f"expected crops of scripts/cut_segmentation_crops.py in {crops}, found {names or 'nothing'}."
            )

    def settings(self) -> Mapping[str, object]:
        """What the numbers depend on."""
        stores = [*self.synthetic, *self.real, *self.held, *self.real_held]
        told = {store.folder.name: {"count": len(store), "digest": store.digest} for store in stores}
        return {**asdict(self.options), "crops": told}

    def build(self, seed: int) -> nn.Module:
        """A fresh network."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = SegmentationNetwork(self.options.network)
        return channels_last(network)

    def batch(self, seed: int, step: int, part: int, parts: int) -> SegmentationBatch:
        """Crops of a step, synthetic and real."""
        rng = np.random.default_rng([seed, step, part])
        count, size = self.options.batch // parts, self.options.network.input_size
        if step < self.options.coarse_steps:
            size //= 2
        real = part_of(round(self.options.batch * self.options.real), part, parts) if self.real else 0
        pools = [(self.synthetic, count - real), (self.real, real)]
        drawn = [_draw(stores, number, rng) for stores, number in pools if number]
        images, labels = (torch.cat(tensors) for tensors in zip(*drawn, strict=True))
        images, labels = viewed(images, labels, size, self.options.augment, rng)
        images, labels = covered(images, labels, self.options.augment, rng)
        images = photographed(images, self.options.augment, rng)
        weights = torch.ones(count)
        weights[count - real :] = self.options.real_weight
        return SegmentationBatch(images, labels, weights)

    def losses(self, network: nn.Module, batch: SegmentationBatch, step: int) -> dict[str, Tensor]:  # noqa: ARG002
        """How little each pixel is given to the classes that it may have."""
        images = batch.images.contiguous(memory_format=torch.channels_last)
        (logits,) = network(images)
        with in_float32(images):
            surprise = partial_cross_entropy(logits.float(), batch.labels)
            small = sum(batch.labels == 1 << CLASSES.index(name) for name in SMALL)
            pixels = 1 + (self.options.small_weight - 1) * torch.as_tensor(small).float()
            return {"pixels": (surprise * pixels).mean((1, 2)).mul(batch.weights).mean()}

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """1 - mean intersection over union, that of each class, and what real photos surely do not show."""
        inter, union = torch.zeros(2, len(CLASSES), device=device_of(network))
        for logits, labels in self._looked_at(network, self.held):
            found = logits.argmax(1)
            known = labels != (1 << len(CLASSES)) - 1
            for number in range(len(CLASSES)):
                mine, truth = (found == number) & known, (labels == 1 << number) & known
                inter[number] += (mine & truth).sum()
                union[number] += (mine | truth).sum()
        shares = inter / union.clamp_min(1)
        told = {f"iou_{name}": float(share) for name, share in zip(CLASSES, shares, strict=True)}
        wrong = [
            1 - torch.exp(-partial_cross_entropy(*pair)) for pair in self._looked_at(network, self.real_held)
        ]
        if wrong:
            told["impossible_on_photos"] = float(torch.cat(wrong).mean())
        return {"error": float(1 - shares.mean()), **told}

    def pictures(self, network: nn.Module) -> dict[str, Tensor]:
        """Kept-out crops and what the network sees in them."""
        sheets = {}
        for store in (*self.held, *self.real_held):
            numbers = np.linspace(0, len(store) - 1, ON_SHEET).round().astype(int)
            images, _ = unchanged(*store.read(numbers), self.options.network.input_size)
            images = images.to(device_of(network))
            with torch.no_grad():
                found = network(images)[0].softmax(1)
            sheets[store.folder.name] = torch.cat([_row(images), _row(overlay(images, found))], 1)
        return sheets

    def _looked_at(self, network: nn.Module, stores: list[CropStore]) -> list[tuple[Tensor, Tensor]]:
        out = []
        for store in stores:
            for numbers in np.array_split(np.arange(len(store)), max(1, len(store) // 25)):
                seen = unchanged(*store.read(numbers), self.options.network.input_size)
                images, labels = on_device(seen, device_of(network))
                with torch.no_grad():
                    out.append((network(images)[0], labels))
        return out


def partial_cross_entropy(
    logits: Float[Tensor, "B K S S"], labels: UInt8[Tensor, "B S S"]
) -> Float[Tensor, "B S S"]:
    """Minus the logarithm of the probability of the classes that each pixel may have.

    With one class it is the cross entropy; where any class may be it is 0.
    """
    bits = torch.arange(logits.shape[1], device=labels.device)[:, None, None]
    allowed = (labels[:, None].int() >> bits) & 1
    possible = functional.log_softmax(logits, 1).masked_fill(allowed == 0, -1e4)
    return -possible.logsumexp(1).clamp_max(0)


def overlay(images: Float[Tensor, "B 3 S S"], found: Float[Tensor, "B K S S"]) -> Float[Tensor, "B 3 S S"]:
    """Crops with the colours of their classes."""
    colors = images.new_tensor(COLORS) / 255
    return 0.4 * images + 0.6 * torch.einsum("bkhw,kc->bchw", found, colors)


def _draw(stores: list[CropStore], count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Crops, from each set as often as from the others."""
    chosen = rng.integers(len(stores), size=count)
    read = []
    for number, store in enumerate(stores):
        share = int((chosen == number).sum())
        if share:
            read.append(store.read(rng.integers(len(store), size=share)))
    images, labels = zip(*read, strict=True)
    return torch.cat(images), torch.cat(labels)


def _row(images: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "3 S W"]:
    return torch.cat(list(images), 2)
