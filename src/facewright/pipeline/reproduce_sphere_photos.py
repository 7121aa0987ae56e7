"""Stage 2 of the Sphere Face Model's tables: a basis of scans tuned on photographs, and what that does."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from facewright.core.assets import asset_path, sha256
from facewright.core.errors import InputError
from facewright.data.aligned_faces import FOLDERS, CropSet, crop_landmarks, load_crops
from facewright.evaluation.identity_metrics import Metric, pair_similarity, verify
from facewright.methods.sphere.encoder import EncoderSettings
from facewright.methods.sphere.losses import SphereWeights
from facewright.methods.sphere.photo_settings import SphereTraining
from facewright.methods.sphere.recipe import RECIPE, RECOGNITION
from facewright.methods.sphere.train import SphereNetworks, SphereTask
from facewright.models.sphere_model import SphereModel
from facewright.networks.recognition import RecognitionNetwork, RecognitionNetworkSettings
from facewright.networks.weights import read_weights
from facewright.training.checkpoint import read_best
from facewright.training.loop import train
from facewright.training.recipe import Scale
from facewright.training.settings import TrainingSettings

CROPS = "crops.npy"
FOLDS = (8, 9)  # whose people neither the shipped recognition network nor any run here has seen
GROUPS = 10  # of their pairs, in the order of the list: two folds choose a threshold on little
# A table of many seeds is made at mini; at small, whose basis is five times as large, one row.
STEPS: dict[Scale, int] = {"mini": 240, "small": 100, "full": 2400}
WARM_UP = 5  # one step of so many sees landmarks alone
METRICS: tuple[Metric, ...] = ("cosine", "euclidean")


@dataclass(frozen=True)
class TunedBasis:
    """What photographs made of a basis.

    Attributes:
        mixing: A became (I + mixing) A, for the rows of A.
        figures: accuracy by both metrics in per cent, landmarks in px of the crop.
    """

    mixing: Float[Tensor, "D D"]
    figures: dict[str, float]


@dataclass(frozen=True)
class PhotoRuns:
    """Trainings on the labelled photos.

    Attributes:
        data: folder of ``faces_in_the_wild`` and ``faces_in_colour``.
        cache: array file of their crops; cut if it is not there.
    """

    data: Path
    cache: Path
    _features: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @staticmethod
    def told(data: Path, scale: Scale) -> dict[str, object]:
        """What the photos are and how they are trained on, as JSON values.

        Raises:
            InputError: there are none.
        """
        labels = [data / name / "labels.npz" for name in FOLDERS]
        if not all(path.is_file() for path in labels):
            raise InputError(f"expected the folders {' and '.join(FOLDERS)} of labelled photos in {data}.")
        told = {"labels": [sha256(path) for path in labels], "recognition": sha256(asset_path(RECOGNITION))}
        return json.loads(json.dumps({**told, "schedule": asdict(schedule(scale, 0))}))

    @cached_property
    def crops(self) -> CropSet:
        """Of all photos."""
        return load_crops(self.data, self.cache)

    @cached_property
    def landmarks(self) -> Float[Tensor, "N 478 2"]:
        """Of the crops."""
        return crop_landmarks(self.data)

    def run(
        self, sphere: SphereModel, changes: Mapping[str, object], scale: Scale, seed: int, folder: Path
    ) -> TunedBasis:
        """Train on a basis of stage 1 and ask the pairs of folds that no training saw.

        Args:
            sphere: of stage 1.
            changes: ``frozen``: the encoder learns alone; ``without``: a loss that is left out.
            scale: of the training.
            seed: of the training.
            folder: of the run, to go on from after a stop.

        Raises:
            DatasetError: a folder is missing or damaged.
            NotFiniteError: the training diverged.
        """
        settings = schedule(scale, seed)
        face, weights = sphere.face_model, SphereWeights()
        if "without" in changes:
            weights = replace(weights, **{str(changes["without"]): 0.0})
        how = SphereTraining(
            kept_out_folds=FOLDS,
            batch=settings.batch,
            warm_up=settings.steps // WARM_UP,
            margin_ramp=settings.steps // WARM_UP,
            freeze_basis=bool(changes.get("frozen", False)),
            weights=weights,
            network=EncoderSettings(
                dimensions=sphere.dimensions, expression=face.expression_count, diffuse=face.diffuse_count
            ),
        )
        trunk = read_weights(asset_path(RECOGNITION), RecognitionNetwork, RecognitionNetworkSettings)
        held = self._features.get("start")  # of all runs the same: what the shipped recognition sees
        start = {f"trunk.{name}": values for name, values in trunk.state_dict().items()}
        task = SphereTask(sphere, self.crops, self.landmarks, how, start, features=held)
        result = train(task, settings, folder, progress=False)
        if task.features is not None:
            self._features["start"] = task.features
        networks = read_best(result.best, task)[0]
        if not isinstance(networks, SphereNetworks):
            raise TypeError(f"expected SphereNetworks, got {type(networks).__name__}")
        figures = {"photo_landmarks": result.metrics["landmark_px"], **self._verified(task, networks)}
        return TunedBasis(networks.encoder.mixing.detach(), figures)

    def _verified(self, task: SphereTask, networks: SphereNetworks) -> dict[str, float]:
        pairs = [pair for pair in self.crops.pairs if pair.fold in FOLDS]
        sides = [np.array([getattr(pair, side) for pair in pairs]) for side in ("first", "second")]
        rows = np.unique(np.concatenate(sides))
        codes, _ = task.codes(networks, rows)
        first, second = (codes[np.searchsorted(rows, side)] for side in sides)
        same, fold = np.array([pair.same for pair in pairs]), np.arange(len(pairs), dtype=np.int64) % GROUPS
        return {
            f"photo_{metric}": 100 * verify(pair_similarity(first, second, metric), same, fold).accuracy
            for metric in METRICS
        }


def schedule(scale: Scale, seed: int) -> TrainingSettings:
    """The loop's settings; mini and small take short runs, since a table takes many."""
    steps = STEPS[scale]
    usual = RECIPE.scales["small"]
    if scale == "full":
        return replace(usual, seed=seed)
    return replace(
        usual,
        steps=steps,
        batch=32,
        warmup=steps // WARM_UP,
        ema=0.98,
        evaluate_every=0,
        checkpoint_every=50,
        seed=seed,
        device="cpu",
    )
