"""The recognition network as a task of the training loop."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from facewright.core.errors import InputError
from facewright.data.aligned_faces import (
    CropSet,
    kept_out_pairs,
    load_crops,
    trained_people,
)
from facewright.data.crop_augmentation import augmented
from facewright.evaluation.identity_metrics import true_accepts, verify
from facewright.methods.recognition.settings import RecognitionSettings
from facewright.methods.recognition.verification import features_of
from facewright.networks.recognition import MarginSoftmax, RecognitionNetwork
from facewright.training.precision import in_float32

DEFAULTS = RecognitionSettings()


@dataclass(frozen=True)
class RecognitionBatch:
    """Crops and the number of each one's person."""

    crops: Float[Tensor, "B 1 112 112"]
    people: Int64[Tensor, " B"]


class RecognitionTraining(nn.Module):
    """What is trained: the network, which is kept, and a direction for each person, which is not."""

    def __init__(self, settings: RecognitionSettings, people: int) -> None:
        super().__init__()
        margin = settings.margin
        self.network = RecognitionNetwork(settings.network)
        self.head = MarginSoftmax(
            people, settings.network.features, scale=margin.scale, angle=margin.angle, cosine=margin.cosine
        )

    def forward(self, batch: RecognitionBatch, share: float = 1.0) -> tuple[Tensor, Tensor]:
        """Loss and share of right answers; see ``MarginSoftmax``."""
        features = self.network.describe(batch.crops)
        with in_float32(batch.crops):
            return self.head(features.float(), batch.people, share)

    def parameter_groups(self, learning_rate: float) -> list[dict[str, object]]:
        """Weights that decay, and those that do not: of normalisation, and the directions."""
        weights = [p for p in self.network.parameters() if p.ndim > 1]
        rest = [p for p in self.network.parameters() if p.ndim <= 1]
        return [
            {"params": weights, "lr": learning_rate},
            {"params": [*rest, *self.head.parameters()], "lr": learning_rate, "weight_decay": 0.0},
        ]


class RecognitionTask:
    """Learns to tell people apart; measured on people who are in no batch and in no tested pair.

    Figures of ``evaluate``, in per cent: ``kept_out_error`` (where false accepts are as frequent as false
    rejects), ``kept_out_accuracy`` and ``kept_out_tar_at_1_percent``.
    """

    name = "recognition"
    version = 1
    metric = "kept_out_error"

    def __init__(self, crops: CropSet, settings: RecognitionSettings = DEFAULTS) -> None:
        self.crops, self.own_settings = crops, settings
        people = trained_people(crops, settings.kept_out_folds)
        if len(people) < 2:
            raise InputError(f"expected photos of at least 2 people to train on, got {len(people)}.")
        self.rows = np.array([row for rows in people.values() for row in rows])
        self.classes = np.repeat(np.arange(len(people)), [len(rows) for rows in people.values()])
        self.people = len(people)
        weight = np.bincount(self.classes)[self.classes].astype(np.float64) ** -settings.share
        self.chances = np.cumsum(weight / weight.sum())
        self.pairs = kept_out_pairs(crops, settings.kept_out_folds)

    @classmethod
    def of(cls, data: Path, cache: Path, settings: RecognitionSettings = DEFAULTS) -> "RecognitionTask":
        """The task on the labelled folders in ``data``; crops are kept in ``cache`` (NAME.npy)."""
        return cls(load_crops(data, cache), settings)

    def settings(self) -> Mapping[str, object]:
        """All that the training depends on."""
        told = {"people": self.people, "photos": len(self.rows), "crops": self.crops.digest}
        return {**dataclasses.asdict(self.own_settings), **told}

    def build(self, seed: int) -> RecognitionTraining:
        """A fresh network."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return RecognitionTraining(self.own_settings, self.people)

    def batch(self, seed: int, step: int, part: int, parts: int) -> RecognitionBatch:
        """One part of the crops of a step."""
        rng = np.random.default_rng((seed, step, part, parts))
        count = -(-self.own_settings.batch // parts)
        chosen = np.searchsorted(self.chances, rng.random(count)).clip(0, len(self.rows) - 1)
        changed = augmented(self.crops.pixels[self.rows[chosen]], rng, self.own_settings.augmentation)
        return RecognitionBatch(changed, torch.from_numpy(self.classes[chosen]))

    def losses(self, network: nn.Module, batch: RecognitionBatch, step: int) -> dict[str, Tensor]:
        """The margin softmax; margins grow over the first steps."""
        share = min(1.0, step / max(1, self.own_settings.margin.ramp))
        return {"margin_softmax": network(batch, share)[0]}

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Verification of kept-out people.

        Raises:
            InputError: the network is another than ``build`` makes.
        """
        if not isinstance(network, RecognitionTraining):
            raise InputError(f"expected the network of the recognition task, got {type(network).__name__}.")
        first, second, same = self.pairs
        rows = np.unique(np.concatenate([first, second]))
        features = features_of(network.network, self.crops, rows.tolist())
        places = {row: place for place, row in enumerate(rows.tolist())}
        codes = [features[[places[row] for row in side.tolist()]] for side in (first, second)]
        similarity = (codes[0] * codes[1]).sum(1)
        found = verify(similarity, same)
        return {
            "kept_out_error": 100 * found.equal_error_rate,
            "kept_out_accuracy": 100 * found.accuracy,
            "kept_out_tar_at_1_percent": 100 * true_accepts(similarity, same, 0.01),
        }

    def pictures(self, network: nn.Module) -> dict[str, Tensor]:
        """The first crops of step 0, as the network sees them."""
        del network
        crops = self.batch(0, 0, 0, 1).crops[:32, 0]
        rows = [torch.cat(list(row), 1) for row in crops.split(8)]
        return {"crops": torch.cat([row for row in rows if row.shape == rows[0].shape], 0).expand(3, -1, -1)}
